//! A parsed expression.

use std::fmt;
use std::thread;

use cel::parser::Parser;
use serde_json::Value as Json;

use super::evaluate::Evaluation;
use super::expression_error::{ExpressionError, Reported, first_error};
use super::node::Node;
use super::resolve::{Refusal, Resolver};
use super::steps::{EvaluationError, MAX_BRACKETS, MAX_LENGTH, Steps};
use super::value::Value;

/// The stack of the parser in bytes, which is enough for any expression within the limits.
const STACK: usize = 64 << 20;

/// A parsed expression.
#[derive(Debug)]
pub struct Expression {
    text: String,
    root: Node,
    used: u32,
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
    let parser = Parser::new()
        .max_recursion_depth(MAX_BRACKETS)
        .error_recovery_limit(1)
        .enable_ident_escape_syntax(true);
    let (tree, source) = parser.parse_with_source_info(text).map_err(|errors| {
        let from_one = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
        let reported = errors.errors.into_iter().map(|error| Reported {
            place: (from_one(error.pos.0), from_one(error.pos.1)),
            message: error.msg,
        });
        first_error(text, reported.collect())
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
