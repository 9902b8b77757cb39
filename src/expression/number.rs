//! Numbers: comparison across their types, arithmetic without overflow, and conversions as Go does them.

use std::cmp::Ordering;

use super::steps::{Evaluated, EvaluationError};
use super::value::Value;

/// The bounds of a 64-bit integer as doubles.
const LEAST: f64 = -9_223_372_036_854_775_808.0;
const MOST: f64 = 9_223_372_036_854_775_808.0;

/// An operator that calculates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Arithmetic {
    /// Returns the error for operands of the wrong types.
    pub(super) fn inapplicable(self, a: &Value<'_>, b: &Value<'_>) -> EvaluationError {
        let sign = match self {
            Self::Add => '+',
            Self::Subtract => '-',
            Self::Multiply => '*',
            Self::Divide => '/',
            Self::Remainder => '%',
        };
        EvaluationError::of(format!("{sign} does not apply to {a} and {b}"))
    }
}

/// Compares two numbers by their amount; `None` for other values, and for NaN.
pub(super) fn compare(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        (Value::Unsigned(a), Value::Unsigned(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Integer(a), Value::Unsigned(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Value::Unsigned(a), Value::Integer(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Value::Integer(a), Value::Double(b)) => double(*a).partial_cmp(b),
        (Value::Double(a), Value::Integer(b)) => a.partial_cmp(&double(*b)),
        (Value::Unsigned(a), Value::Double(b)) => unsigned_double(*a).partial_cmp(b),
        (Value::Double(a), Value::Unsigned(b)) => a.partial_cmp(&unsigned_double(*b)),
        _ => None,
    }
}

/// Returns true for a number.
pub(super) fn is_number(value: &Value<'_>) -> bool {
    matches!(value, Value::Integer(_) | Value::Unsigned(_) | Value::Double(_))
}

#[expect(clippy::cast_precision_loss, reason = "CEL rounds as well")]
pub(super) fn double(integer: i64) -> f64 {
    integer as f64
}

#[expect(clippy::cast_precision_loss, reason = "CEL rounds as well")]
pub(super) fn unsigned_double(integer: u64) -> f64 {
    integer as f64
}

/// Calculates with two numbers of one type.
pub(super) fn calculate<'v>(operator: Arithmetic, a: &Value<'v>, b: &Value<'v>) -> Evaluated<Value<'v>> {
    let overflow = || EvaluationError::of("the result of a calculation does not fit into 64 bits");
    match (a, b) {
        (Value::Integer(_), Value::Integer(0)) | (Value::Unsigned(_), Value::Unsigned(0))
            if matches!(operator, Arithmetic::Divide | Arithmetic::Remainder) =>
        {
            Err(EvaluationError::of("division by zero"))
        }
        (Value::Integer(a), Value::Integer(b)) => match operator {
            Arithmetic::Add => a.checked_add(*b),
            Arithmetic::Subtract => a.checked_sub(*b),
            Arithmetic::Multiply => a.checked_mul(*b),
            Arithmetic::Divide => a.checked_div(*b),
            Arithmetic::Remainder => a.checked_rem(*b),
        }
        .map(Value::Integer)
        .ok_or_else(overflow),
        (Value::Unsigned(a), Value::Unsigned(b)) => match operator {
            Arithmetic::Add => a.checked_add(*b),
            Arithmetic::Subtract => a.checked_sub(*b),
            Arithmetic::Multiply => a.checked_mul(*b),
            Arithmetic::Divide => a.checked_div(*b),
            Arithmetic::Remainder => a.checked_rem(*b),
        }
        .map(Value::Unsigned)
        .ok_or_else(overflow),
        (Value::Double(a), Value::Double(b)) => match operator {
            Arithmetic::Add => Ok(Value::Double(a + b)),
            Arithmetic::Subtract => Ok(Value::Double(a - b)),
            Arithmetic::Multiply => Ok(Value::Double(a * b)),
            Arithmetic::Divide => Ok(Value::Double(a / b)),
            Arithmetic::Remainder => Err(operator.inapplicable(&Value::Double(*a), &Value::Double(*b))),
        },
        (a, b) => Err(operator.inapplicable(a, b)),
    }
}

/// Converts a value into an integer.
pub(super) fn integer(value: &Value<'_>) -> Evaluated<i64> {
    let converted = match value {
        Value::Integer(integer) => Some(*integer),
        Value::Unsigned(integer) => i64::try_from(*integer).ok(),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the bounds are checked, and CEL cuts off the fraction"
        )]
        Value::Double(double) => (LEAST < *double && *double < MOST).then_some(*double as i64),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    converted.ok_or_else(|| inconvertible(value, "an integer"))
}

/// Converts a value into an unsigned integer.
pub(super) fn unsigned(value: &Value<'_>) -> Evaluated<u64> {
    let converted = match value {
        Value::Integer(integer) => u64::try_from(*integer).ok(),
        Value::Unsigned(integer) => Some(*integer),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the bounds are checked, and CEL cuts off the fraction"
        )]
        Value::Double(double) => (0.0 <= *double && *double < 2.0 * MOST).then_some(*double as u64),
        // Go accepts no sign here.
        Value::Text(text) => text.parse().ok().filter(|_| !text.starts_with('+')),
        _ => None,
    };
    converted.ok_or_else(|| inconvertible(value, "an unsigned integer"))
}

/// Converts a value into a double.
pub(super) fn to_double(value: &Value<'_>) -> Evaluated<f64> {
    let converted = match value {
        Value::Integer(integer) => Some(double(*integer)),
        Value::Unsigned(integer) => Some(unsigned_double(*integer)),
        Value::Double(double) => Some(*double),
        // A number that is too large is an error in Go.
        Value::Text(text) => {
            let is_word = text.trim_start_matches(['+', '-']).starts_with(['i', 'I', 'n', 'N']);
            text.parse().ok().filter(|double: &f64| is_word || double.is_finite())
        }
        _ => None,
    };
    converted.ok_or_else(|| inconvertible(value, "a double"))
}

pub(super) fn inconvertible(value: &Value<'_>, into: &str) -> EvaluationError {
    EvaluationError::of(match value {
        Value::Text(text) => format!("can't convert {:?} into {into}", shortened(text)),
        other => format!("can't convert {other} into {into}"),
    })
}

/// Cuts a long text.
pub(super) fn shortened(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}

/// Writes a double as Go's `%g` does.
pub(super) fn format(double: f64) -> String {
    if double.is_nan() {
        return "NaN".to_owned();
    }
    if double.is_infinite() {
        return if double > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{double:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if double == 0.0 || (-4..6).contains(&exponent) {
        return format!("{double}");
    }
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}
