//! The forms of names that the API server accepts:
//! <https://github.com/kubernetes/apimachinery/blob/v0.36.3/pkg/util/validation/validation.go>.

/// The most characters of a label's name and of its value.
const LABEL: usize = 63;
/// The most characters of the prefix of a label's key.
const PREFIX: usize = 253;
/// The most characters of a port's name.
const PORT: usize = 15;

/// Tells whether a text is the key of a label: a name, or a domain, a slash and a name.
pub(super) fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(is_domain)
}

/// Tells whether a text is the value of a label. It may be empty.
pub(super) fn is_label_value(value: &str) -> bool {
    value.len() <= LABEL && (value.is_empty() || is_word(value, |c| matches!(c, b'-' | b'_' | b'.')))
}

/// Tells whether a text is the name of a port.
pub(super) fn is_port_name(name: &str) -> bool {
    let is_small = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=PORT).contains(&name.len())
        && name.bytes().all(is_small)
        && name.bytes().any(|c| c.is_ascii_lowercase())
        && !name.contains("--")
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn is_domain(text: &str) -> bool {
    let is_part = |part: &str| is_word(part, |c| c == b'-') && !part.bytes().any(|c| c.is_ascii_uppercase());
    text.len() <= PREFIX && text.split('.').all(is_part)
}

/// Tells whether a text has letters and digits, and `inner` characters between them.
fn is_word(text: &str, inner: impl Fn(u8) -> bool) -> bool {
    let is_outer = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    is_outer(bytes.first())
        && is_outer(bytes.last())
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || inner(*c))
}
