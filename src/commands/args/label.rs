//! The value of a label in a flag.

/// Parses the value of a label.
pub(in crate::commands) fn label_value(text: &str) -> Result<String, &'static str> {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_label =
        bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(allowed);
    if is_label {
        Ok(text.to_owned())
    } else {
        Err(
            "not the value of a label: use up to 63 letters, digits, hyphens, underscores and dots, with a letter or \
             digit at both ends",
        )
    }
}
