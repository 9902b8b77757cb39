//! A parsed expression.

use std::fmt;
use std::thread;

use cel::parser::Parser;
use serde_json::Value as Json;

use super::evaluate::Evaluation;
use super::node::Node;
use super::resolve::{Refusal, Resolver};
use super::steps::{EvaluationError, MAX_LENGTH, Steps};
use super::value::Value;

/// The deepest nesting of brackets and conditions for the parser.
const BRACKETS: u16 = 64;
/// The stack of the parser in bytes, which is enough for any expression within the limits.
const STACK: usize = 64 << 20;

/// A parsed expression.
#[derive(Debug)]
pub struct Expression {
    text: String,
    root: Node,
    used: u32,
}

/// A part of an expression that can't be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct ExpressionError {
    /// The line within the expression, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The problem, and how to fix it.
    pub problem: String,
}

impl Expression {
    /// Parses an expression over some variables.
    pub fn parse(text: &str, variables: &'static [&'static str]) -> Result<Self, ExpressionError> {
        let at_start = |problem: String| ExpressionError { line: 1, column: 1, problem };
        if text.chars().count() > MAX_LENGTH {
            return Err(at_start(format!(
                "it has more than {MAX_LENGTH} characters: split it into several rules"
            )));
        }
        if text.trim().is_empty() {
            return Err(at_start("it is empty".to_owned()));
        }
        // The parser calls itself for each level of nesting, and the stack of a worker is small.
        let parse = || {
            let parser = thread::Builder::new().stack_size(STACK);
            let parsed = thread::scope(|scope| {
                Ok::<_, std::io::Error>(parser.spawn_scoped(scope, || parse(text, variables))?.join())
            });
            parsed.map_err(|error| at_start(format!("the parser can't be started: {error}")))
        };
        match parse()? {
            Ok(parsed) => parsed,
            Err(_) => Err(at_start("the parser can't read it".to_owned())),
        }
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns true if the expression uses the variable at a place among those that it was parsed with.
    pub fn uses(&self, variable: usize) -> bool {
        self.used & (1 << variable) != 0
    }

    /// Evaluates the expression to true or false. The variables are those that it was parsed with; `None` has no value.
    pub fn evaluate(&self, variables: &[Option<&Json>]) -> Result<bool, EvaluationError> {
        let variables: Vec<Option<Value<'_>>> = variables.iter().map(|json| json.map(Value::of)).collect();
        let mut evaluation = Evaluation { variables: &variables, locals: Vec::new(), steps: Steps::new() };
        match evaluation.of(&self.root)? {
            Value::Boolean(value) => Ok(value),
            other => Err(EvaluationError::of(format!("its result is {other}, and has to be true or false"))),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse(text: &str, variables: &'static [&'static str]) -> Result<Expression, ExpressionError> {
    let parser =
        Parser::new().max_recursion_depth(BRACKETS).error_recovery_limit(1).enable_ident_escape_syntax(true);
    let (tree, source) = parser.parse_with_source_info(text).map_err(|errors| {
        let first = errors.errors.into_iter().next();
        let (place, problem) = first.map_or(((1, 1), String::new()), |error| (error.pos, error.msg));
        let from_one = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
        ExpressionError { line: from_one(place.0), column: from_one(place.1), problem }
    })?;
    let mut resolver = Resolver::new(variables);
    let root = resolver.node(&tree).map_err(|Refusal { part, problem }| {
        let start = source.offset_for(part).map_or(0, |(start, _)| start as usize);
        let before: String = text.chars().take(start).collect();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        ExpressionError { line, column, problem }
    })?;
    Ok(Expression { text: text.to_owned(), root, used: resolver.used })
}
