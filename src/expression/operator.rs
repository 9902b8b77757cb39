//! The operators that calculate and compare.

use std::cmp::Ordering;

use super::equality::{equal, find};
use super::number::{self, Arithmetic, compare};
use super::steps::{Evaluated, EvaluationError, Steps};
use super::value::{List, Text, Value};

/// An operator with two operands, both of which are always evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Arithmetic(Arithmetic),
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Index,
}

impl Binary {
    /// Finds an operator by its name in the syntax tree.
    pub(super) fn find(name: &str) -> Option<Self> {
        Some(match name {
            "_+_" => Self::Arithmetic(Arithmetic::Add),
            "_-_" => Self::Arithmetic(Arithmetic::Subtract),
            "_*_" => Self::Arithmetic(Arithmetic::Multiply),
            "_/_" => Self::Arithmetic(Arithmetic::Divide),
            "_%_" => Self::Arithmetic(Arithmetic::Remainder),
            "_==_" => Self::Equal,
            "_!=_" => Self::NotEqual,
            "_<_" => Self::Less,
            "_<=_" => Self::LessOrEqual,
            "_>_" => Self::Greater,
            "_>=_" => Self::GreaterOrEqual,
            "@in" => Self::In,
            "_[_]" => Self::Index,
            _ => return None,
        })
    }

    /// Applies the operator.
    pub(super) fn apply<'v>(self, a: Value<'v>, b: &Value<'v>, steps: &Steps) -> Evaluated<Value<'v>> {
        Ok(match self {
            Self::Arithmetic(Arithmetic::Add) => return add(a, b, steps),
            Self::Arithmetic(operator) => return number::calculate(operator, &a, b),
            Self::Index => return index(&a, b, steps),
            Self::Equal => Value::Boolean(equal(&a, b, steps)?),
            Self::NotEqual => Value::Boolean(!equal(&a, b, steps)?),
            Self::Less => Value::Boolean(order(&a, b, steps)? == Some(Ordering::Less)),
            Self::LessOrEqual => Value::Boolean(order(&a, b, steps)?.is_some_and(Ordering::is_le)),
            Self::Greater => Value::Boolean(order(&a, b, steps)? == Some(Ordering::Greater)),
            Self::GreaterOrEqual => Value::Boolean(order(&a, b, steps)?.is_some_and(Ordering::is_ge)),
            Self::In => Value::Boolean(contains(b, &a, steps)?),
        })
    }
}

/// Orders two values; `None` if one is NaN.
fn order(a: &Value<'_>, b: &Value<'_>, steps: &Steps) -> Evaluated<Option<Ordering>> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => {
            steps.take_text(a)?;
            Ok(Some((**a).cmp(&**b)))
        }
        (Value::Boolean(a), Value::Boolean(b)) => Ok(Some(a.cmp(b))),
        (a, b) if number::is_number(a) && number::is_number(b) => Ok(compare(a, b)),
        (a, b) => Err(EvaluationError::of(format!("can't compare {a} with {b}"))),
    }
}

/// Adds numbers, and joins texts and lists.
fn add<'v>(a: Value<'v>, b: &Value<'v>, steps: &Steps) -> Evaluated<Value<'v>> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => {
            steps.take_text(&a)?;
            steps.take_text(b)?;
            Ok(Value::text(format!("{}{}", &*a, &**b)))
        }
        (Value::List(List::Made(mut items)), Value::List(b)) => {
            steps.take(b.len())?;
            if std::rc::Rc::strong_count(&items) > 1 {
                steps.take(items.len())?;
            }
            std::rc::Rc::make_mut(&mut items).extend(b.iter());
            Ok(Value::List(List::Made(items)))
        }
        (Value::List(a), Value::List(b)) => {
            steps.take(a.len())?;
            steps.take(b.len())?;
            Ok(Value::list(a.iter().chain(b.iter()).collect()))
        }
        (a, b) => number::calculate(Arithmetic::Add, &a, b),
    }
}

/// Returns the item of a list, or the value of a key.
fn index<'v>(of: &Value<'v>, key: &Value<'v>, steps: &Steps) -> Evaluated<Value<'v>> {
    match of {
        Value::List(items) => {
            let place = match key {
                Value::Double(double) if double.fract() == 0.0 => number::integer(key)?,
                Value::Integer(_) | Value::Unsigned(_) => number::integer(key)?,
                other => return Err(EvaluationError::of(format!("{other} is no place in a list"))),
            };
            let item = usize::try_from(place).ok().and_then(|place| items.get(place));
            item.ok_or_else(|| EvaluationError::of(format!("the list has no item {place}")))
        }
        Value::Map(map) => find(map, key, steps)?.ok_or_else(|| no_key(key)),
        other => Err(EvaluationError::of(format!("{other} has no items"))),
    }
}

fn no_key(key: &Value<'_>) -> EvaluationError {
    match key {
        Value::Text(name) => no_such_key(name),
        other => EvaluationError::of(format!("no such key: {other}")),
    }
}

/// Returns the error for an absent key.
pub(super) fn no_such_key(name: &str) -> EvaluationError {
    EvaluationError::of(format!("no such key: {}", number::shortened(name)))
}

fn contains(of: &Value<'_>, item: &Value<'_>, steps: &Steps) -> Evaluated<bool> {
    match of {
        Value::List(items) => {
            for own in items.iter() {
                if equal(&own, item, steps)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Map(map) => Ok(find(map, item, steps)?.is_some()),
        other => Err(EvaluationError::of(format!("`in` does not apply to {other}"))),
    }
}

/// Returns the value of a field.
pub(super) fn select<'v>(of: &Value<'v>, field: &str) -> Evaluated<Value<'v>> {
    match of {
        Value::Map(map) => map.field(field).ok_or_else(|| no_such_key(field)),
        other => Err(EvaluationError::of(format!("{other} has no field {field}"))),
    }
}

/// Returns true if a value has a field. Only maps have some; a list can't be asked.
pub(super) fn has(of: &Value<'_>, field: &str) -> Evaluated<bool> {
    match of {
        Value::Map(map) => Ok(map.field(field).is_some()),
        Value::List(_) => Err(EvaluationError::of(format!("a list has no field {field}"))),
        _ => Ok(false),
    }
}

/// Changes the sign of a number.
pub(super) fn negate<'v>(value: &Value<'v>) -> Evaluated<Value<'v>> {
    match value {
        Value::Integer(integer) => {
            number::calculate(Arithmetic::Subtract, &Value::Integer(0), &Value::Integer(*integer))
        }
        Value::Double(double) => Ok(Value::Double(-double)),
        other => Err(EvaluationError::of(format!("- does not apply to {other}"))),
    }
}

/// Makes a text of characters.
pub(super) fn text_of<'v>(characters: &[char]) -> Value<'v> {
    Value::Text(Text::Shared(characters.iter().collect::<String>().into()))
}
