//! Turns the syntax tree of the parser into our own, and refuses what is not in the subset.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};

use super::function::Function;
use super::node::{Fold, Literal, Node};
use super::operator::Binary;
use super::pattern;
use super::steps::MAX_NESTING;

/// A part that is not in the subset.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The parser's number of the part.
    pub(super) part: u64,
    /// The problem, and how to fix it.
    pub(super) problem: String,
}

/// Resolves names while it walks down a tree.
pub(super) struct Resolver<'a> {
    variables: &'a [&'static str],
    locals: Vec<String>,
    nesting: usize,
    /// A bit for each variable that is used.
    pub(super) used: u32,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(variables: &'a [&'static str]) -> Self {
        Self { variables, locals: Vec::new(), nesting: 0, used: 0 }
    }

    /// Turns a part into a node.
    pub(super) fn node(&mut self, part: &IdedExpr) -> Result<Node, Refusal> {
        if self.nesting == MAX_NESTING {
            return Err(refuse(
                part,
                format!("it is nested more than {MAX_NESTING} deep: split it into several rules"),
            ));
        }
        self.nesting += 1;
        let node = self.resolve(part);
        self.nesting -= 1;
        node
    }

    fn resolve(&mut self, part: &IdedExpr) -> Result<Node, Refusal> {
        Ok(match &part.expr {
            Expr::Literal(literal) => Node::Literal(self::literal(part, literal)?),
            Expr::Ident(name) => self.name(part, name)?,
            Expr::Select(select) => {
                let of = Box::new(self.node(&select.operand)?);
                let field = select.field.as_str().into();
                if select.test { Node::Has(of, field) } else { Node::Select(of, field) }
            }
            Expr::List(list) if list.optional_indices.is_empty() => Node::List(self.nodes(&list.elements)?),
            Expr::Map(map) => {
                let mut entries = Vec::new();
                for entry in &map.entries {
                    match &entry.expr {
                        EntryExpr::MapEntry(entry) if !entry.optional => {
                            entries.push((self.node(&entry.key)?, self.node(&entry.value)?));
                        }
                        _ => return Err(refuse(part, "optional entries are not in the subset")),
                    }
                }
                Node::Map(entries)
            }
            Expr::Call(call) => self.call(part, call)?,
            Expr::Comprehension(fold) => self.fold(fold)?,
            Expr::List(_) => return Err(refuse(part, "optional items are not in the subset")),
            Expr::Struct(of) => {
                return Err(refuse(
                    part,
                    format!("objects of the type {} are not in the subset", of.type_name),
                ));
            }
            Expr::Unspecified => return Err(refuse(part, "a part of the expression is missing")),
        })
    }

    fn nodes(&mut self, parts: &[IdedExpr]) -> Result<Vec<Node>, Refusal> {
        parts.iter().map(|part| self.node(part)).collect()
    }

    fn name(&mut self, part: &IdedExpr, name: &str) -> Result<Node, Refusal> {
        if let Some(place) = self.locals.iter().rposition(|local| local == name) {
            return Ok(Node::Local(place));
        }
        let Some(place) = self.variables.iter().position(|variable| *variable == name) else {
            let known = self.variables.join(", ");
            return Err(refuse(part, format!("there is no variable {name}; the variables are {known}")));
        };
        self.used |= 1 << place;
        Ok(Node::Variable(place))
    }

    fn call(&mut self, part: &IdedExpr, call: &CallExpr) -> Result<Node, Refusal> {
        let arguments = call.target.as_deref().into_iter().chain(&call.args);
        if call.func_name == "matches" {
            return self.matches(part, &arguments.collect::<Vec<_>>());
        }
        let nodes: Vec<Node> = arguments.map(|part| self.node(part)).collect::<Result<_, _>>()?;
        let of_operator = |name: &str| call.target.is_none() && call.func_name == name;
        let nodes = match <[Node; 1]>::try_from(nodes) {
            Ok([of]) if of_operator("!_") => return Ok(Node::Not(Box::new(of))),
            Ok([of]) if of_operator("-_") => return Ok(Node::Negate(Box::new(of))),
            Ok([of]) if of_operator("@not_strictly_false") => return Ok(Node::NotFalse(Box::new(of))),
            Ok([of]) => vec![of],
            Err(nodes) => nodes,
        };
        let nodes = match <[Node; 2]>::try_from(nodes) {
            Ok([a, b]) if of_operator("_&&_") => return Ok(Node::And(Box::new((a, b)))),
            Ok([a, b]) if of_operator("_||_") => return Ok(Node::Or(Box::new((a, b)))),
            // The API server does not look at what it searches an empty list for.
            Ok([_, Node::List(items)]) if of_operator("@in") && items.is_empty() => {
                return Ok(Node::Literal(Literal::Boolean(false)));
            }
            Ok([a, b]) => match Binary::find(&call.func_name).filter(|_| call.target.is_none()) {
                Some(operator) => return Ok(Node::Binary(operator, Box::new((a, b)))),
                None => vec![a, b],
            },
            Err(nodes) => nodes,
        };
        let nodes = match <[Node; 3]>::try_from(nodes) {
            Ok(parts) if of_operator("_?_:_") => return Ok(Node::Conditional(Box::new(parts))),
            Ok(parts) => Vec::from(parts),
            Err(nodes) => nodes,
        };
        let function = Function::find(&call.func_name, call.target.is_some(), call.args.len());
        Ok(Node::Call(function.map_err(|problem| refuse(part, problem))?, nodes))
    }

    fn matches(&mut self, part: &IdedExpr, arguments: &[&IdedExpr]) -> Result<Node, Refusal> {
        let [text, pattern] = arguments else {
            return Err(refuse(part, "matches takes a text and a pattern"));
        };
        let Expr::Literal(LiteralValue::String(written)) = &pattern.expr else {
            return Err(refuse(pattern, "the pattern of matches has to be written out, as a text"));
        };
        let pattern = pattern::compile(written.inner()).map_err(|problem| refuse(pattern, problem))?;
        Ok(Node::Matches(Box::new(self.node(text)?), Box::new(pattern)))
    }

    fn fold(&mut self, fold: &ComprehensionExpr) -> Result<Node, Refusal> {
        let (range, start) = (self.node(&fold.iter_range)?, self.node(&fold.accu_init)?);
        self.locals.push(fold.accu_var.clone());
        self.locals.push(fold.iter_var.clone());
        let inner =
            self.node(&fold.loop_cond).and_then(|condition| Ok((condition, self.node(&fold.loop_step)?)));
        self.locals.pop();
        let result = self.node(&fold.result);
        self.locals.pop();
        let (condition, step) = inner?;
        Ok(Node::Fold(Box::new(Fold { range, start, condition, step, result: result? })))
    }
}

fn literal(part: &IdedExpr, literal: &LiteralValue) -> Result<Literal, Refusal> {
    Ok(match literal {
        LiteralValue::Null => Literal::Null,
        LiteralValue::Boolean(value) => Literal::Boolean(*value.inner()),
        LiteralValue::Int(value) => Literal::Integer(*value.inner()),
        LiteralValue::UInt(value) => Literal::Unsigned(*value.inner()),
        LiteralValue::Double(value) => Literal::Double(*value.inner()),
        LiteralValue::String(value) => Literal::Text(value.inner().into()),
        LiteralValue::Bytes(_) => return Err(refuse(part, "bytes are not in the subset")),
    })
}

fn refuse(part: &IdedExpr, problem: impl Into<String>) -> Refusal {
    Refusal { part: part.id, problem: problem.into() }
}
