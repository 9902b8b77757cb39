//! The type of a scalar by the rules of YAML 1.1, as `go.yaml.in/yaml/v2` applies them.

use super::number::{self, Integer};

/// The explicit tag of a scalar, as far as it affects the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// No tag: the text determines the type.
    None,
    Bool,
    Int,
    Float,
    Null,
    Timestamp,
}

/// A scalar's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// An integer that fits only without a sign.
    Unsigned(u64),
    Float(f64),
    /// A string, exactly the text.
    Text,
}

impl Value {
    fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Unsigned(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text => "text",
        }
    }
}

/// Resolves a scalar. The error says that the text doesn't fit the tag.
pub(super) fn resolve(tag: Tag, text: &str) -> Result<Value, String> {
    let value = untagged(text);
    let wanted = match (tag, value) {
        (Tag::None, _)
        | (Tag::Bool, Value::Bool(_))
        | (Tag::Int, Value::Integer(_) | Value::Unsigned(_))
        | (Tag::Float, Value::Float(_))
        | (Tag::Null, Value::Null) => return Ok(value),
        #[expect(clippy::cast_precision_loss, reason = "a float was asked for")]
        (Tag::Float, Value::Integer(number)) => return Ok(Value::Float(number as f64)),
        (Tag::Timestamp, Value::Text) if is_timestamp(text) => return Ok(value),
        (Tag::Bool, _) => "a boolean",
        (Tag::Int, _) => "an integer",
        (Tag::Float, _) => "a float",
        (Tag::Null, _) => "null",
        (Tag::Timestamp, _) => "a timestamp",
    };
    Err(format!("`{text}` is {}, and its tag asks for {wanted}", value.name()))
}

/// Resolves a plain scalar.
fn untagged(text: &str) -> Value {
    let Some(first) = text.as_bytes().first() else { return Value::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => word(text),
        b'.' => match text {
            ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" => Value::Float(f64::INFINITY),
            _ if !between_digits(text) => Value::Text,
            _ if text.contains('_') => {
                number::float(&text.replace('_', "")).map_or(Value::Text, Value::Float)
            }
            _ => number::float(text).map_or(Value::Text, Value::Float),
        },
        b'0'..=b'9' | b'+' | b'-' => match text {
            "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
            _ if text.contains('_') => number(&text.replace('_', "")),
            _ => number(text),
        },
        _ => Value::Text,
    }
}

fn word(text: &str) -> Value {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Value::Null,
        _ => Value::Text,
    }
}

/// Returns true if every underscore is between two digits, as Go requires.
fn between_digits(text: &str) -> bool {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'_', bytes).all(|at| at > 0 && digit(bytes.get(at - 1)) && digit(bytes.get(at + 1)))
}

fn number(text: &str) -> Value {
    match number::integer(text) {
        Some(Integer::Signed(number)) => Value::Integer(number),
        Some(Integer::Unsigned(number)) => Value::Unsigned(number),
        None => number::float(text).map_or(Value::Text, Value::Float),
    }
}

/// Returns true if Go's decoder takes a text as a timestamp: a date with or without a time.
fn is_timestamp(text: &str) -> bool {
    let Some((date, time)) = text.split_at_checked(text.find(['T', 't', ' ']).unwrap_or(text.len())) else {
        return false;
    };
    let fields = |text: &str, separator: char, widths: &[usize]| {
        let parts: Vec<&str> = text.split(separator).collect();
        let fits = |(part, width): (&&str, &usize)| {
            part.bytes().all(|byte| byte.is_ascii_digit())
                && (1..=*width).contains(&part.len())
                && (*width == 2 || part.len() == *width)
        };
        (parts.len() == widths.len() && parts.iter().zip(widths).all(fits))
            .then(|| parts.iter().filter_map(|part| part.parse::<i16>().ok()).collect::<Vec<_>>())
    };
    let Some(&[year, month, day]) = fields(date, '-', &[4, 2, 2]).as_deref() else { return false };
    let narrow = |number: i16| i8::try_from(number).unwrap_or(-1);
    if jiff::civil::Date::new(year, narrow(month), narrow(day)).is_err() {
        return false;
    }
    let (zoned, time) = match time.as_bytes() {
        [] => return true,
        [b' ', ..] => (false, &time[1..]),
        _ => (true, &time[1..]),
    };
    let clock_end = time.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(time.len());
    let (clock, rest) = time.split_at(clock_end);
    let fraction = rest
        .strip_prefix(['.', ','])
        .map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    if fraction.len() + 1 == rest.len() {
        return false;
    }
    let zone = match fraction.strip_prefix(['+', '-']) {
        Some(offset) => zoned && offset.len() == 5 && fields(offset, ':', &[2, 2]).is_some(),
        None => fraction == if zoned { "Z" } else { "" },
    };
    let in_day = |clock: &[i16]| matches!(clock, [0..=23, 0..=59, 0..=59]);
    zone && fields(clock, ':', &[2, 2, 2]).as_deref().is_some_and(in_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_have_the_types_of_yaml_1_1() {
        for (text, value) in [
            ("yes", Value::Bool(true)),
            ("On", Value::Bool(true)),
            ("n", Value::Bool(false)),
            ("OFF", Value::Bool(false)),
            ("yES", Value::Text),
            ("", Value::Null),
            ("~", Value::Null),
            ("nULL", Value::Text),
            ("128_000_000", Value::Integer(128_000_000)),
            ("010", Value::Integer(8)),
            ("0o10", Value::Integer(8)),
            ("08", Value::Float(8.0)),
            ("1:30", Value::Text),
            ("1_0.5", Value::Float(10.5)),
            (".1_0", Value::Float(0.1)),
            ("._1", Value::Text),
            ("-.INF", Value::Float(f64::NEG_INFINITY)),
            ("2001-01-01", Value::Text),
            ("1.2.3", Value::Text),
            ("<<", Value::Text),
            ("=", Value::Text),
        ] {
            assert_eq!(resolve(Tag::None, text), Ok(value), "{text}");
        }
    }

    #[test]
    fn text_that_does_not_fit_its_tag_is_an_error() {
        assert_eq!(resolve(Tag::Float, "12"), Ok(Value::Float(12.0)));
        assert_eq!(resolve(Tag::Bool, "y"), Ok(Value::Bool(true)));
        assert_eq!(
            resolve(Tag::Int, "many"),
            Err("`many` is text, and its tag asks for an integer".to_owned())
        );
        assert!(resolve(Tag::Null, "0").is_err() && resolve(Tag::Float, "18446744073709551615").is_err());
    }

    #[test]
    fn a_timestamp_is_a_date_with_or_without_a_time() {
        for text in [
            "2001-1-2",
            "2001-12-14T21:59:43.10-05:00",
            "2001-12-14t21:59:43Z",
            "2001-12-14 21:59:43",
            "2024-02-29",
        ] {
            assert_eq!(resolve(Tag::Timestamp, text), Ok(Value::Text), "{text}");
        }
        for text in ["2001", "2001-13-01", "2023-02-29", "2001-12-14T21:59:43", "2001-12-14 21:59:43Z", "x"] {
            assert!(resolve(Tag::Timestamp, text).is_err(), "{text}");
        }
    }
}
