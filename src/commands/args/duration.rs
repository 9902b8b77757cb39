//! The one parser for flags that take a time.

use jiff::SignedDuration;

/// A time that does not parse.
#[derive(Debug, thiserror::Error)]
#[error("not a time: give seconds such as 30, or a number with a unit such as 500ms, 30s or 1m")]
pub(in crate::commands) struct DurationError;

/// Parses seconds, or a duration with units as Go and kubectl write it; never negative.
pub(in crate::commands) fn duration(text: &str) -> Result<SignedDuration, DurationError> {
    let seconds = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
    let parsed = seconds.map(SignedDuration::from_secs).or_else(|| text.parse().ok());
    parsed.filter(|duration| !duration.is_negative()).ok_or(DurationError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_parsed_as_kubectl_does() {
        for (text, seconds) in [("30", 30), ("30s", 30), ("1m", 60), ("1m30s", 90), ("1h", 3600), ("0", 0)] {
            assert_eq!(duration(text).unwrap(), SignedDuration::from_secs(seconds), "{text}");
        }
        assert_eq!(duration("500ms").unwrap(), SignedDuration::from_millis(500));
        for text in ["", "-1", "-5s", "+5", "soon", "30x", "1.5", "99999999999999999999"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
