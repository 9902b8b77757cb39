//! The syntax tree of an expression, with names resolved.

use regex::Regex;

use super::function::Function;
use super::operator::Binary;

/// A part of an expression.
#[derive(Debug)]
pub(super) enum Node {
    Literal(Literal),
    /// A variable, by its place among those of the expression.
    Variable(usize),
    /// A variable of a macro, by its place among those that are in scope.
    Local(usize),
    Select(Box<Node>, Box<str>),
    /// `has(x.y)`.
    Has(Box<Node>, Box<str>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<(Node, Node)>),
    Or(Box<(Node, Node)>),
    Conditional(Box<[Node; 3]>),
    /// True unless the part is false. An error counts as true.
    NotFalse(Box<Node>),
    Binary(Binary, Box<(Node, Node)>),
    Call(Function, Vec<Node>),
    /// `x.matches('...')`.
    Matches(Box<Node>, Box<Regex>),
    Fold(Box<Fold>),
}

/// A value that is written out.
#[derive(Debug)]
pub(super) enum Literal {
    Null,
    Boolean(bool),
    Integer(i64),
    Unsigned(u64),
    Double(f64),
    Text(Box<str>),
}

/// A macro such as `all`: a loop over a list or the keys of a map, with a result so far. Both are local variables, the
/// result first.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) range: Node,
    pub(super) start: Node,
    pub(super) condition: Node,
    pub(super) step: Node,
    pub(super) result: Node,
}
