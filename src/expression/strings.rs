//! The functions on texts, as `ext.Strings` of cel-go has them. Places count characters.

use super::number;
use super::operator::text_of;
use super::steps::{Evaluated, EvaluationError};
use super::value::{List, Value};

/// Returns the character at a place, as a text. The place behind the last one has an empty text.
pub(super) fn char_at<'v>(text: &str, place: i64) -> Evaluated<Value<'v>> {
    let length = text.chars().count();
    match usize::try_from(place).ok().filter(|place| *place <= length) {
        Some(place) => Ok(text_of(&text.chars().skip(place).take(1).collect::<Vec<_>>())),
        None => Err(outside(place)),
    }
}

/// Returns the first place of a part at or behind an offset; -1 without one.
pub(super) fn index_of(text: &str, part: &str, offset: i64) -> Evaluated<i64> {
    if part.is_empty() {
        return Ok(offset);
    }
    let offset = usize::try_from(offset).map_err(|_| outside(offset))?;
    let (text, part): (Vec<char>, Vec<char>) = (text.chars().collect(), part.chars().collect());
    let found = text.windows(part.len()).enumerate().skip(offset).find(|(_, window)| *window == part);
    Ok(found.map_or(-1, |(place, _)| place_of(place)))
}

/// Returns the last place of a part that begins at or before an offset; -1 without one.
pub(super) fn last_index_of(text: &str, part: &str, offset: Option<i64>) -> Evaluated<i64> {
    let (text, part): (Vec<char>, Vec<char>) = (text.chars().collect(), part.chars().collect());
    if part.is_empty() {
        return Ok(offset.unwrap_or(place_of(text.len())));
    }
    let offset = match offset {
        None => text.len(),
        Some(offset) => {
            let place = usize::try_from(offset).map_err(|_| outside(offset))?;
            if place >= text.len() {
                return Ok(-1);
            }
            place
        }
    };
    let mut windows = text.windows(part.len()).enumerate().take(offset.saturating_add(1));
    let found = windows.rfind(|(_, window)| *window == part);
    Ok(found.map_or(-1, |(place, _)| place_of(place)))
}

/// Returns the characters between two places.
pub(super) fn substring<'v>(text: &str, start: i64, end: Option<i64>) -> Evaluated<Value<'v>> {
    let characters: Vec<char> = text.chars().collect();
    let place = |place: i64| {
        let inside = usize::try_from(place).ok().filter(|place| *place <= characters.len());
        inside.ok_or_else(|| outside(place))
    };
    let (from, to) = (place(start)?, end.map_or(Ok(characters.len()), place)?);
    let part = characters.get(from..to);
    part.map(text_of).ok_or_else(|| EvaluationError::of(format!("the start {from} is behind the end {to}")))
}

/// Replaces a part, at most `limit` times; a negative limit is none.
pub(super) fn replace<'v>(text: &str, part: &str, by: &str, limit: i64) -> Value<'v> {
    Value::text(match usize::try_from(limit) {
        Ok(limit) => text.replacen(part, by, limit),
        Err(_) => text.replace(part, by),
    })
}

/// Splits a text into at most `limit` parts; a negative limit is none.
pub(super) fn split<'v>(text: &str, at: &str, limit: i64) -> Value<'v> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let parts: Vec<String> = if limit == 0 {
        Vec::new()
    } else if at.is_empty() {
        let mut rest = text.chars();
        let mut parts: Vec<String> = rest.by_ref().take(limit - 1).map(String::from).collect();
        let last: String = rest.collect();
        if !last.is_empty() {
            parts.push(last);
        }
        parts
    } else {
        text.splitn(limit, at).map(str::to_owned).collect()
    };
    Value::list(parts.into_iter().map(Value::text).collect())
}

/// Joins the texts of a list.
pub(super) fn join<'v>(list: &List<'_>, between: &str) -> Evaluated<Value<'v>> {
    let mut joined = String::new();
    for (place, item) in list.iter().enumerate() {
        let Value::Text(text) = item else {
            return Err(EvaluationError::of(format!("join does not apply to a list with {item}")));
        };
        if place > 0 {
            joined.push_str(between);
        }
        joined.push_str(&text);
    }
    Ok(Value::text(joined))
}

/// Converts a value into a text.
pub(super) fn to_text<'v>(value: &Value<'v>) -> Evaluated<Value<'v>> {
    Ok(match value {
        Value::Text(text) => Value::Text(text.clone()),
        Value::Boolean(value) => Value::text(value.to_string()),
        Value::Integer(value) => Value::text(value.to_string()),
        Value::Unsigned(value) => Value::text(value.to_string()),
        Value::Double(value) => Value::text(number::format(*value)),
        other => return Err(number::inconvertible(other, "a text")),
    })
}

/// Converts a value into a boolean.
pub(super) fn to_boolean<'v>(value: &Value<'v>) -> Evaluated<Value<'v>> {
    Ok(Value::Boolean(match value {
        Value::Boolean(value) => *value,
        Value::Text(text) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
            "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
            _ => return Err(number::inconvertible(value, "a boolean")),
        },
        other => return Err(number::inconvertible(other, "a boolean")),
    }))
}

fn outside(place: i64) -> EvaluationError {
    EvaluationError::of(format!("the text has no place {place}"))
}

fn place_of(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}
