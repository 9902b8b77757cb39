//! Telling secrets from other values, by their name and by their form.

use std::iter;

/// Words that name a secret, also as plurals.
const SECRETS: [&str; 6] = ["password", "passwd", "secret", "token", "credential", "apikey"];
/// Words that name a secret together with a following `key`.
const KEYS: [&str; 4] = ["api", "access", "private", "secret"];
/// Last words of names that only lead to a secret, or describe it, also as plurals.
const POINTERS: [&str; 11] =
    ["file", "path", "dir", "name", "ref", "url", "ttl", "expiry", "id", "length", "enabled"];
/// Words of names that are about secrets and hold none, also as plurals.
const ABOUT: [&str; 8] = ["issuer", "audience", "provider", "policy", "policies", "mode", "header", "role"];
/// Prefixes of tokens that are long enough to be no coincidence.
const TOKENS: [&str; 11] = [
    "AKIA",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "sk_live_",
    "npm_",
    "dckr_pat_",
];
/// The least length of a token, with its prefix.
const TOKEN_LENGTH: usize = 20;

/// Returns true if a value is a secret, by its form or by its name.
pub fn is_plaintext_secret(name: &str, value: &str) -> bool {
    holds_secret(value) || is_secret_name(name) && may_be_secret(value)
}

/// Returns true if a name says that its value is a secret.
fn is_secret_name(name: &str) -> bool {
    let is_one_of = |word: &str, known: &[&str]| known.iter().any(|one| word.eq_ignore_ascii_case(one));
    let (mut names_secret, mut before) = (false, "");
    for word in words(name) {
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let singular = word.strip_suffix(['s', 'S']).unwrap_or(word);
        let is_about = is_one_of(word, &ABOUT) || is_one_of(singular, &ABOUT);
        if is_about {
            return false;
        }
        if word.is_empty() {
            continue;
        }
        names_secret |= is_one_of(word, &SECRETS)
            || is_one_of(singular, &SECRETS)
            || singular.eq_ignore_ascii_case("key") && is_one_of(before, &KEYS);
        before = word;
    }
    let last = before.strip_suffix(['s', 'S']).unwrap_or(before);
    names_secret && !is_one_of(before, &POINTERS) && !is_one_of(last, &POINTERS)
}

/// Returns true if a value can be a secret at all, and is no setting, path, template, URL or reference.
fn may_be_secret(value: &str) -> bool {
    let value = value.trim();
    let is_setting = value.is_empty()
        || value.parse::<f64>().is_ok()
        || ["true", "false", "yes", "no", "on", "off", "null", "none"]
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word));
    let is_path = ["/", "./", "../", "~/"].iter().any(|start| value.starts_with(start));
    let is_template =
        ["$(", "${", "{{", "<"].iter().any(|start| value.starts_with(start)) || value.contains("{{");
    let is_reference =
        ["vault:", "arn:", "ENC[", "ref+", "op://"].iter().any(|start| value.starts_with(start));
    let is_plain_url = value.split_once("://").is_some_and(|(_, rest)| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.contains('@')
    });
    !(is_setting || is_path || is_template || is_reference || is_plain_url)
}

/// Returns true if a value is a secret by its form: a private key, or a token of a known service.
fn holds_secret(value: &str) -> bool {
    // Most values are short, and every pod has many of them.
    if value.len() < TOKEN_LENGTH {
        return false;
    }
    let is_token = || value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    TOKENS.iter().any(|prefix| value.starts_with(prefix)) && is_token()
        || value.contains("-----BEGIN ") && value.contains("PRIVATE KEY-----")
}

/// Splits a name at underscores, dashes, dots, and where a capital follows a small letter.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let parts = name.split(['_', '-', '.', ' ', '/']);
    parts.flat_map(split_at_capitals).filter(|word| !word.is_empty())
}

fn split_at_capitals(part: &str) -> impl Iterator<Item = &str> {
    let mut rest = part;
    iter::from_fn(move || {
        let mut was_small = false;
        let border = rest.char_indices().find(|(_, c)| {
            let is_border = was_small && c.is_uppercase();
            was_small = c.is_lowercase();
            is_border
        });
        let (word, left) = rest.split_at(border.map_or(rest.len(), |(index, _)| index));
        rest = left;
        (!word.is_empty()).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_and_numbers_do_not_change_what_a_name_means() {
        for name in ["PASSWORD", "PASSWORD2", "DB_PASSWORD_1", "apiKeys", "SECRETS"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["SECRET_NAMES", "TOKEN_URLS", "SECRETS_DIRS", "PASSWORD_FILES", "PROVIDERS_TOKEN", "2"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn names_are_split_at_borders_and_case() {
        for (name, expected) in [
            ("DB_PASSWORD", "DB PASSWORD"),
            ("apiKey", "api Key"),
            ("my-app.tokenFile", "my app token File"),
            ("TOKENIZER", "TOKENIZER"),
            ("--größeÜber__", "größe Über"),
            ("", ""),
        ] {
            assert_eq!(words(name).collect::<Vec<_>>().join(" "), expected);
        }
    }
}
