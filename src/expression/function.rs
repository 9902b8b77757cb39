//! The functions of the subset.

use super::equality::places;
use super::number;
use super::steps::{Evaluated, EvaluationError, Steps};
use super::strings;
use super::value::Value;

/// A function of the subset. The value that it is called on is its first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Text,
    Integer,
    Unsigned,
    Double,
    Boolean,
    Dyn,
    StartsWith,
    EndsWith,
    Contains,
    CharAt,
    IndexOf,
    LastIndexOf,
    Join,
    LowerAscii,
    UpperAscii,
    Replace,
    Split,
    Substring,
    Trim,
}

/// The functions that are called as `f(x)`, each with its number of arguments.
const GLOBAL: [(&str, Function); 7] = [
    ("size", Function::Size),
    ("string", Function::Text),
    ("int", Function::Integer),
    ("uint", Function::Unsigned),
    ("double", Function::Double),
    ("bool", Function::Boolean),
    ("dyn", Function::Dyn),
];

/// The functions that are called as `x.f(y)`, each with the least and the largest number of arguments.
const METHODS: [(&str, Function, usize, usize); 14] = [
    ("size", Function::Size, 0, 0),
    ("startsWith", Function::StartsWith, 1, 1),
    ("endsWith", Function::EndsWith, 1, 1),
    ("contains", Function::Contains, 1, 1),
    ("charAt", Function::CharAt, 1, 1),
    ("indexOf", Function::IndexOf, 1, 2),
    ("lastIndexOf", Function::LastIndexOf, 1, 2),
    ("join", Function::Join, 0, 1),
    ("lowerAscii", Function::LowerAscii, 0, 0),
    ("upperAscii", Function::UpperAscii, 0, 0),
    ("replace", Function::Replace, 2, 3),
    ("split", Function::Split, 1, 2),
    ("substring", Function::Substring, 1, 2),
    ("trim", Function::Trim, 0, 0),
];

impl Function {
    /// Finds a function. The error says what is wrong with the call.
    pub(super) fn find(name: &str, is_method: bool, arguments: usize) -> Result<Self, String> {
        let found = if is_method {
            METHODS
                .iter()
                .find(|method| method.0 == name)
                .map(|(_, function, least, most)| (*function, *least..=*most))
        } else {
            GLOBAL.iter().find(|global| global.0 == name).map(|(_, function)| (*function, 1..=1))
        };
        match found {
            Some((function, counts)) if counts.contains(&arguments) => Ok(function),
            Some(_) => Err(format!("{name} takes another number of arguments than {arguments}")),
            None => {
                Err(format!("there is no function {name} in the subset; docs/custom-rules.md lists them"))
            }
        }
    }

    /// Calls the function.
    pub(super) fn call<'v>(self, arguments: &[Value<'v>], steps: &Steps) -> Evaluated<Value<'v>> {
        for argument in arguments {
            match argument {
                Value::Text(text) => steps.take_text(text)?,
                Value::List(list) => steps.take(list.len())?,
                _ => {}
            }
        }
        match (self, arguments) {
            (Self::Size, [value]) => size(value),
            (Self::Text, [value]) => strings::to_text(value),
            (Self::Integer, [value]) => number::integer(value).map(Value::Integer),
            (Self::Unsigned, [value]) => number::unsigned(value).map(Value::Unsigned),
            (Self::Double, [value]) => number::to_double(value).map(Value::Double),
            (Self::Boolean, [value]) => strings::to_boolean(value),
            (Self::Dyn, [value]) => Ok(value.clone()),
            (Self::Join, [Value::List(list)]) => strings::join(list, ""),
            (Self::Join, [Value::List(list), Value::Text(between)]) => strings::join(list, between),
            (Self::IndexOf, [Value::List(list), item]) => {
                places(list, item, steps).next().unwrap_or(Ok(-1)).map(Value::Integer)
            }
            (Self::LastIndexOf, [Value::List(list), item]) => {
                places(list, item, steps).try_fold(-1, |_, place| place).map(Value::Integer)
            }
            (_, [Value::Text(text), rest @ ..]) => self.of_text(text, rest, steps),
            (_, arguments) => Err(self.inapplicable(arguments)),
        }
    }

    /// Calls a function of a text.
    fn of_text<'v>(self, text: &str, rest: &[Value<'v>], steps: &Steps) -> Evaluated<Value<'v>> {
        Ok(match (self, rest) {
            (Self::LowerAscii, []) => Value::text(text.to_ascii_lowercase()),
            (Self::UpperAscii, []) => Value::text(text.to_ascii_uppercase()),
            (Self::Trim, []) => Value::text(text.trim()),
            (Self::CharAt, [Value::Integer(place)]) => return strings::char_at(text, *place),
            (Self::Substring, [Value::Integer(start)]) => return strings::substring(text, *start, None),
            (Self::Substring, [Value::Integer(start), Value::Integer(end)]) => {
                return strings::substring(text, *start, Some(*end));
            }
            (_, [Value::Text(part), rest @ ..]) => {
                // A search compares every place.
                steps.take(text.len() / 10 * (1 + part.len() / 10))?;
                match (self, rest) {
                    (Self::StartsWith, []) => Value::Boolean(text.starts_with(&**part)),
                    (Self::EndsWith, []) => Value::Boolean(text.ends_with(&**part)),
                    (Self::Contains, []) => Value::Boolean(text.contains(&**part)),
                    (Self::IndexOf, []) => Value::Integer(strings::index_of(text, part, 0)?),
                    (Self::IndexOf, [Value::Integer(offset)]) => {
                        Value::Integer(strings::index_of(text, part, *offset)?)
                    }
                    (Self::LastIndexOf, []) => Value::Integer(strings::last_index_of(text, part, None)?),
                    (Self::LastIndexOf, [Value::Integer(offset)]) => {
                        Value::Integer(strings::last_index_of(text, part, Some(*offset))?)
                    }
                    (Self::Split, []) => split(text, part, -1, steps)?,
                    (Self::Split, [Value::Integer(limit)]) => split(text, part, *limit, steps)?,
                    (Self::Replace, [Value::Text(by)]) => replace(text, part, by, -1, steps)?,
                    (Self::Replace, [Value::Text(by), Value::Integer(limit)]) => {
                        replace(text, part, by, *limit, steps)?
                    }
                    _ => return Err(self.inapplicable_to_text(text)),
                }
            }
            _ => return Err(self.inapplicable_to_text(text)),
        })
    }

    fn inapplicable_to_text(self, text: &str) -> EvaluationError {
        EvaluationError::of(format!(
            "{} does not apply to {:?} with these arguments",
            self.name(),
            number::shortened(text)
        ))
    }

    fn inapplicable(self, arguments: &[Value<'_>]) -> EvaluationError {
        let of = arguments.first().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        EvaluationError::of(format!("{} does not apply to {of} with these arguments", self.name()))
    }

    fn name(self) -> &'static str {
        let global = GLOBAL.iter().map(|(name, function)| (*name, *function));
        let methods = METHODS.iter().map(|(name, function, ..)| (*name, *function));
        global.chain(methods).find(|(_, function)| *function == self).map_or("", |(name, _)| name)
    }
}

fn split<'v>(text: &str, at: &str, limit: i64, steps: &Steps) -> Evaluated<Value<'v>> {
    // There are at most as many parts as characters.
    steps.take(text.len())?;
    Ok(strings::split(text, at, limit))
}

fn replace<'v>(text: &str, part: &str, by: &str, limit: i64, steps: &Steps) -> Evaluated<Value<'v>> {
    let places = if part.is_empty() { text.len() + 1 } else { text.len() / part.len() };
    steps.take(places.saturating_mul(1 + by.len() / 10))?;
    Ok(strings::replace(text, part, by, limit))
}

/// Returns the number of characters, items or entries.
fn size<'v>(value: &Value<'_>) -> Evaluated<Value<'v>> {
    let size = match value {
        Value::Text(text) => text.chars().count(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        other => return Err(EvaluationError::of(format!("{other} has no size"))),
    };
    Ok(Value::Integer(i64::try_from(size).unwrap_or(i64::MAX)))
}
