//! Equality of values, and the search of lists and maps by it.

use std::cmp::Ordering;

use super::number;
use super::steps::{Evaluated, Steps};
use super::value::{List, Map, Value};

/// Compares two values for equality. Values of different types are unequal, but numbers compare by their amount.
pub(super) fn equal(a: &Value<'_>, b: &Value<'_>, steps: &Steps) -> Evaluated<bool> {
    steps.take(1)?;
    Ok(match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Boolean(a), Value::Boolean(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => {
            steps.take_text(a)?;
            **a == **b
        }
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                if !equal(&a, &b, steps)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for key in a.keys() {
                let (Some(own), Some(other)) = (find(a, &key, steps)?, find(b, &key, steps)?) else {
                    return Ok(false);
                };
                if !equal(&own, &other, steps)? {
                    return Ok(false);
                }
            }
            true
        }
        (a, b) => number::compare(a, b).is_some_and(Ordering::is_eq),
    })
}

/// Returns the value of a key of any type.
pub(super) fn find<'v>(map: &Map<'v>, key: &Value<'_>, steps: &Steps) -> Evaluated<Option<Value<'v>>> {
    if let Value::Text(name) = key {
        steps.take(1)?;
        return Ok(map.field(name));
    }
    if let Map::Made(entries) = map {
        for (own, value) in entries.iter() {
            if equal(own, key, steps)? {
                return Ok(Some(value.clone()));
            }
        }
    }
    Ok(None)
}

/// Returns the places of the items that equal a value.
pub(super) fn places(
    list: &List<'_>,
    item: &Value<'_>,
    steps: &Steps,
) -> impl Iterator<Item = Evaluated<i64>> {
    let numbered = (0..).zip(list.iter());
    numbered.filter_map(|(place, own)| {
        equal(&own, item, steps).map(|is_equal| is_equal.then_some(place)).transpose()
    })
}
