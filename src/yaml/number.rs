//! Parses and formats numbers as Go does.

/// An integer as parsed by Go's `strconv.ParseInt` and `ParseUint` with base 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Integer {
    Signed(i64),
    /// An integer that fits only without a sign.
    Unsigned(u64),
}

/// Parses an integer with an optional base prefix. The underscores have been removed.
pub(super) fn integer(text: &str) -> Option<Integer> {
    let (negative, digits) = sign(text);
    if let Some(number) = unsigned(digits) {
        return match i64::try_from(number) {
            Ok(number) => Some(Integer::Signed(if negative { -number } else { number })),
            Err(_) if negative => 0_i64.checked_sub_unsigned(number).map(Integer::Signed),
            // A number with a sign is no unsigned number.
            Err(_) => (digits.len() == text.len()).then_some(Integer::Unsigned(number)),
        };
    }
    // A binary number may have a sign after its prefix.
    let (negative, behind) = match text.strip_prefix("-0b") {
        Some(behind) => (true, behind),
        None => (false, text.strip_prefix("0b")?),
    };
    let (minus, digits) = sign(behind);
    if negative && digits.len() != behind.len() {
        return None;
    }
    let number = i64::try_from(radix(digits, 2)?).ok()?;
    Some(Integer::Signed(if negative || minus { -number } else { number }))
}

fn sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn unsigned(digits: &str) -> Option<u64> {
    let Some(rest) = digits.strip_prefix('0') else { return radix(digits, 10) };
    let base = match rest.as_bytes() {
        [b'b' | b'B', _, ..] => 2,
        [b'o' | b'O', _, ..] => 8,
        [b'x' | b'X', _, ..] => 16,
        [] => return Some(0),
        _ => return radix(rest, 8),
    };
    radix(&rest[1..], base)
}

fn radix(digits: &str, base: u32) -> Option<u64> {
    // The standard library would accept a sign here.
    if digits.starts_with(['+', '-']) { None } else { u64::from_str_radix(digits, base).ok() }
}

/// Parses a float in decimal notation; `None` also if it is too large.
pub(super) fn float(text: &str) -> Option<f64> {
    let (_, number) = sign(text);
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(sign(exponent).1)),
        None => (number, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let valid = digits(whole)
        && digits(fraction)
        && whole.len() + fraction.len() > 0
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent));
    if valid { text.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

/// Formats a float as a JSON key, like Go's `FormatFloat` with format `g` and 32 bits.
pub(super) fn key(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "Go rounds it too")]
    let number = number as f32;
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_has_the_base_of_its_prefix() {
        for (text, number) in [
            ("0", 0),
            ("-0", 0),
            ("010", 8),
            ("0o10", 8),
            ("0O17", 15),
            ("0x1F", 31),
            ("-0x1f", -31),
            ("0b101", 5),
            ("-0b1", -1),
            ("0b-1", -1),
            ("0b+1", 1),
            ("+12", 12),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(integer(text), Some(Integer::Signed(number)), "{text}");
        }
        assert_eq!(integer("18446744073709551615"), Some(Integer::Unsigned(u64::MAX)));
        for text in ["", "-", "08", "0x", "0b", "0b2", "1a", "+18446744073709551615", "-0b-1", "1.5", "--1"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn a_float_is_decimal_and_finite() {
        for (text, number) in
            [("1.5", 1.5), ("5.", 5.0), ("-.5", -0.5), ("1e3", 1000.0), ("08", 8.0), ("+1E-2", 0.01)]
        {
            assert_eq!(float(text), Some(number), "{text}");
        }
        for text in ["", ".", "1e", "e1", "1e400", "inf", "nan", "1.2.3", "0x1p3", "1_0"] {
            assert_eq!(float(text), None, "{text}");
        }
    }

    #[test]
    fn float_keys_are_formatted_as_in_go() {
        for (number, text) in [
            (1.5, "1.5"),
            (0.1, "0.1"),
            (1000.0, "1000"),
            (0.00001, "1e-05"),
            (1e6, "1e+06"),
            (123_456_789.0, "1.2345679e+08"),
            (1e300, ".inf"),
            (f64::NEG_INFINITY, "-.inf"),
        ] {
            assert_eq!(key(number), text);
        }
    }
}
