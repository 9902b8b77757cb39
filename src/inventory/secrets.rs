//! Telling secrets from other values, by their name and by their form.

/// Words that name a secret, also as plurals.
const SECRETS: [&str; 6] = ["password", "passwd", "secret", "token", "credential", "apikey"];
/// Words that name a secret together with a following `key`.
const KEYS: [&str; 4] = ["api", "access", "private", "secret"];
/// Last words of names that only lead to a secret, or describe it.
const POINTERS: [&str; 11] =
    ["file", "path", "dir", "name", "ref", "url", "ttl", "expiry", "id", "length", "enabled"];
/// Words of names that are about secrets and hold none.
const ABOUT: [&str; 7] = ["issuer", "audience", "provider", "policy", "mode", "header", "role"];
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
    let words = words(name);
    let singular = |word: &str| word.strip_suffix('s').unwrap_or(word).to_owned();
    let is_about = |word: &String| ABOUT.contains(&word.as_str());
    if words.last().is_none_or(|last| POINTERS.contains(&last.as_str())) || words.iter().any(is_about) {
        return false;
    }
    words.iter().any(|word| SECRETS.contains(&word.as_str()) || SECRETS.contains(&singular(word).as_str()))
        || words.windows(2).any(|pair| KEYS.contains(&pair[0].as_str()) && singular(&pair[1]) == "key")
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
    let is_key = value.contains("-----BEGIN ") && value.contains("PRIVATE KEY-----");
    let is_token = |text: &str| {
        text.len() >= TOKEN_LENGTH
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    is_key || TOKENS.iter().any(|prefix| value.starts_with(prefix) && is_token(value))
}

/// Splits a name at underscores, dashes, dots, and where a capital follows a small letter.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        let is_border = matches!(c, '_' | '-' | '.' | ' ' | '/');
        if is_border || was_small && c.is_uppercase() {
            words.push(String::new());
        }
        if let (false, Some(word)) = (is_border, words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        was_small = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_borders_and_case() {
        for (name, expected) in [
            ("DB_PASSWORD", "db password"),
            ("apiKey", "api key"),
            ("my-app.tokenFile", "my app token file"),
            ("TOKENIZER", "tokenizer"),
        ] {
            assert_eq!(words(name).join(" "), expected);
        }
    }
}
