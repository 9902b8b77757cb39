//! The evaluation of a syntax tree.

use std::rc::Rc;

use super::node::{Fold, Literal, Node};
use super::operator::{has, negate, select};
use super::steps::{Evaluated, EvaluationError, Steps};
use super::value::{List, Map, Text, Value};

/// The variables of an evaluation, and the steps that are left.
pub(super) struct Evaluation<'v> {
    /// The variables of the expression; `None` for one that has no value.
    pub(super) variables: &'v [Option<Value<'v>>],
    /// The local variables. The intermediate result of a macro can be an error that a later item overrides.
    pub(super) locals: Vec<Evaluated<Value<'v>>>,
    pub(super) steps: Steps,
}

impl<'v> Evaluation<'v> {
    /// Evaluates a part.
    pub(super) fn of(&mut self, node: &'v Node) -> Evaluated<Value<'v>> {
        self.steps.take(1)?;
        Ok(match node {
            Node::Literal(literal) => value(literal),
            Node::Variable(place) => match self.variables.get(*place) {
                Some(Some(value)) => value.clone(),
                _ => return Err(EvaluationError::of("a variable has no value here")),
            },
            Node::Local(place) => match self.locals.get(*place) {
                Some(value) => value.clone()?,
                None => return Err(EvaluationError::of("a variable has no value here")),
            },
            Node::Select(of, field) => select(&self.of(of)?, field)?,
            Node::Has(of, field) => Value::Boolean(has(&self.of(of)?, field)?),
            Node::List(items) => {
                Value::list(items.iter().map(|item| self.of(item)).collect::<Evaluated<Vec<_>>>()?)
            }
            Node::Map(entries) => self.map(entries)?,
            Node::Not(of) => Value::Boolean(!self.of(of)?.boolean()?),
            Node::Negate(of) => negate(&self.of(of)?)?,
            Node::And(sides) => Value::Boolean(self.either(sides, false)?),
            Node::Or(sides) => Value::Boolean(self.either(sides, true)?),
            Node::Conditional(parts) => {
                let [condition, then, otherwise] = &**parts;
                return if self.of(condition)?.boolean()? { self.of(then) } else { self.of(otherwise) };
            }
            Node::NotFalse(of) => match self.of(of) {
                Err(EvaluationError::Steps) => return Err(EvaluationError::Steps),
                Ok(Value::Boolean(false)) => Value::Boolean(false),
                Ok(_) | Err(EvaluationError::Operation(_)) => Value::Boolean(true),
            },
            Node::Binary(operator, sides) => {
                let (a, b) = (self.of(&sides.0)?, self.of(&sides.1)?);
                operator.apply(a, &b, &self.steps)?
            }
            Node::Call(function, arguments) => {
                let arguments: Vec<_> =
                    arguments.iter().map(|argument| self.of(argument)).collect::<Evaluated<_>>()?;
                function.call(&arguments, &self.steps)?
            }
            Node::Matches(of, pattern) => match self.of(of)? {
                Value::Text(text) => {
                    self.steps.take(text.len() / 10 * (1 + pattern.as_str().len() / 4))?;
                    Value::Boolean(pattern.is_match(&text))
                }
                other => return Err(EvaluationError::of(format!("matches does not apply to {other}"))),
            },
            Node::Fold(fold) => return self::fold(self, fold),
        })
    }

    /// Evaluates `&&` and `||`. One side that has the `decisive` value is enough, even if the other is an error.
    fn either(&mut self, sides: &'v (Node, Node), decisive: bool) -> Evaluated<bool> {
        let first = self.of(&sides.0).and_then(|value| value.boolean());
        match first {
            Err(EvaluationError::Steps) => return Err(EvaluationError::Steps),
            Ok(value) if value == decisive => return Ok(decisive),
            _ => {}
        }
        let second = self.of(&sides.1).and_then(|value| value.boolean());
        match second {
            Err(EvaluationError::Steps) => Err(EvaluationError::Steps),
            Ok(value) if value == decisive => Ok(decisive),
            second => first.and(second),
        }
    }

    fn map(&mut self, entries: &'v [(Node, Node)]) -> Evaluated<Value<'v>> {
        let mut made: Vec<(Value<'v>, Value<'v>)> = Vec::new();
        for (key, value) in entries {
            let (key, value) = (self.of(key)?, self.of(value)?);
            if matches!(key, Value::Null | Value::Double(_) | Value::List(_) | Value::Map(_)) {
                return Err(EvaluationError::of(format!("{key} can't be a key")));
            }
            made.push((key, value));
        }
        Ok(Value::Map(Map::Made(Rc::new(made))))
    }
}

fn value(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Boolean(value) => Value::Boolean(*value),
        Literal::Integer(value) => Value::Integer(*value),
        Literal::Unsigned(value) => Value::Unsigned(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::Text(text) => Value::Text(Text::Borrowed(text)),
    }
}

/// Returns the items that a macro visits.
fn items<'v>(of: &Value<'v>) -> Evaluated<List<'v>> {
    match of {
        Value::List(list) => Ok(list.clone()),
        Value::Map(map) => Ok(List::Made(Rc::new(map.keys()))),
        other => Err(EvaluationError::of(format!("{other} has no items to visit"))),
    }
}

/// Evaluates a macro.
fn fold<'v>(evaluation: &mut Evaluation<'v>, fold: &'v Fold) -> Evaluated<Value<'v>> {
    let visited = items(&evaluation.of(&fold.range)?)?;
    let start = evaluation.of(&fold.start)?;
    let place = evaluation.locals.len();
    evaluation.locals.push(Ok(start));
    let result = visit(evaluation, fold, place, visited.iter());
    evaluation.locals.truncate(place + 1);
    let result = result.and_then(|()| evaluation.of(&fold.result));
    evaluation.locals.truncate(place);
    result
}

fn visit<'v>(
    evaluation: &mut Evaluation<'v>,
    fold: &'v Fold,
    place: usize,
    visited: impl Iterator<Item = Value<'v>>,
) -> Evaluated<()> {
    for item in visited {
        evaluation.locals.truncate(place + 1);
        evaluation.locals.push(Ok(item));
        if !evaluation.of(&fold.condition)?.boolean()? {
            break;
        }
        let next = evaluation.of(&fold.step);
        if matches!(next, Err(EvaluationError::Steps)) {
            return Err(EvaluationError::Steps);
        }
        evaluation.locals[place] = next;
    }
    Ok(())
}
