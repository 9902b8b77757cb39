//! Keys and values of labels in flags.

/// Parses the value of a label.
pub(in crate::commands) fn label_value(text: &str) -> Result<String, &'static str> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(
            "not the value of a label: use up to 63 letters, digits, hyphens, underscores and dots, with a letter or \
             digit at both ends",
        )
    }
}

/// Parses the key of a label.
pub(in crate::commands) fn label_key(text: &str) -> Result<String, &'static str> {
    let is_prefix = |text: &str| {
        let is_part =
            |part: &str| is_name(part) && !part.contains(|c: char| c.is_ascii_uppercase() || c == '_');
        text.len() <= 253 && text.split('.').all(is_part)
    };
    let is_key =
        text.rsplit_once('/').map_or(is_name(text), |(prefix, name)| is_prefix(prefix) && is_name(name));
    if is_key {
        Ok(text.to_owned())
    } else {
        Err("not the key of a label: use a name such as team, or one with a domain such as example.com/team")
    }
}

/// Returns true for up to 63 letters, digits, hyphens, underscores and dots, with a letter or digit at both ends.
fn is_name(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_those_of_kubernetes() {
        for key in ["team", "example.com/team", "a_b.C", "app.kubernetes.io/name"] {
            assert!(label_key(key).is_ok(), "{key}");
        }
        for key in ["", "a b", "/team", "example.com/", "a/b/c", "Example.com/team", "-a"] {
            assert!(label_key(key).is_err(), "{key}");
        }
        assert!(label_value("a.b-c").is_ok() && label_value("a/b").is_err() && label_value("").is_err());
    }
}
