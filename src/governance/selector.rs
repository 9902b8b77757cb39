//! Label selectors as kubectl's `-l` takes them.

/// The text is not a label selector.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{requirement:?} is no label requirement: write key=value, key!=value, key in (a,b), key notin (a,b), key, !key, \
     key>1 or key<1, with keys and values that labels can have: at most 63 letters, digits, '-', '_' and '.', a letter \
     or digit first and last"
)]
pub struct SelectorError {
    requirement: String,
}

/// The labels that an object must have; without requirements every object is selected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

/// A requirement on the label of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    Exists,
    DoesNotExist,
    In(Vec<String>),
    /// The label is absent, or has none of these values.
    NotIn(Vec<String>),
    GreaterThan(i64),
    LessThan(i64),
}

impl Selector {
    /// Returns true if labels, looked up by their keys, meet all requirements.
    pub fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.0.iter().all(|Requirement { key, operator }| {
            let value = label(key);
            let number = || value.and_then(|value| value.parse::<i64>().ok());
            let is_one_of =
                |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
            match operator {
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
                Operator::In(values) => is_one_of(values),
                Operator::NotIn(values) => !is_one_of(values),
                Operator::GreaterThan(bound) => number().is_some_and(|number| number > *bound),
                Operator::LessThan(bound) => number().is_some_and(|number| number < *bound),
            }
        })
    }
}

/// Parses a label selector such as `app=web,tier in (a,b),!canary`. A blank one selects everything.
pub fn parse_selector(text: &str) -> Result<Selector, SelectorError> {
    if text.trim().is_empty() {
        return Ok(Selector::default());
    }
    let mut depth = 0_u32;
    let requirements = text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    let requirements = requirements.map(|requirement| {
        parse_requirement(requirement.trim())
            .ok_or_else(|| SelectorError { requirement: requirement.trim().to_owned() })
    });
    requirements.collect::<Result<_, _>>().map(Selector)
}

fn parse_requirement(text: &str) -> Option<Requirement> {
    let (key, operator) = if let Some((key, value)) = text.split_once("!=") {
        (key, Operator::NotIn(vec![label_value(value)?]))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Operator::In(vec![label_value(value)?]))
    } else if let Some((key, bound)) = text.split_once('>') {
        (key, Operator::GreaterThan(bound.trim().parse().ok()?))
    } else if let Some((key, bound)) = text.split_once('<') {
        (key, Operator::LessThan(bound.trim().parse().ok()?))
    } else if let Some(rest) = text.strip_suffix(')') {
        let (head, values) = rest.split_once('(')?;
        let (key, operator) = head.trim_end().rsplit_once(char::is_whitespace)?;
        let values = values.split(',').map(label_value).collect::<Option<_>>()?;
        match operator {
            "in" => (key, Operator::In(values)),
            "notin" => (key, Operator::NotIn(values)),
            _ => return None,
        }
    } else if let Some(key) = text.strip_prefix('!') {
        (key, Operator::DoesNotExist)
    } else {
        (text, Operator::Exists)
    };
    Some(Requirement { key: label_key(key)?, operator })
}

/// Parses a key: a name, optionally with a domain and a slash in front.
fn label_key(text: &str) -> Option<String> {
    let key = text.trim();
    let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    (domain.is_none_or(is_domain) && is_name(name)).then(|| key.to_owned())
}

fn label_value(text: &str) -> Option<String> {
    let value = text.trim();
    (value.is_empty() || is_name(value)).then(|| value.to_owned())
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= 63 && ends_in(text, u8::is_ascii_alphanumeric) && text.as_bytes().iter().all(allowed)
}

fn is_domain(text: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| ends_in(part, word) && part.bytes().all(|byte| word(&byte) || byte == b'-');
    text.len() <= 253 && text.split('.').all(part)
}

/// Returns true if the first and the last byte of a text meet a condition.
fn ends_in(text: &str, such: impl Fn(&u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(&such) && bytes.last().is_some_and(&such)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let label = |key: &str| labels.iter().find(|(other, _)| *other == key).map(|(_, value)| *value);
        parse_selector(selector).unwrap().matches(label)
    }

    #[test]
    fn every_form_of_requirement_selects() {
        let web = [("app", "web"), ("tier", "a"), ("shard", "12"), ("example.com/x", "")];
        for selector in [
            "app=web",
            "app==web",
            "app != db",
            "tier in (a, b)",
            "tier notin (c)",
            "app",
            "!canary",
            "app=web,tier in (a,b),!x",
            "",
            " ",
            "shard>11",
            "shard < 13,shard > -1",
            "example.com/x",
            "example.com/x=",
            "example.com/x in ()",
        ] {
            assert!(matches(selector, &web), "{selector}");
        }
        for selector in [
            "app=db",
            "app!=web",
            "tier in (b,c)",
            "tier notin (a)",
            "canary",
            "!app",
            "app=web,canary",
            "shard>12",
            "shard<12",
            "app>1",
            "canary<1",
        ] {
            assert!(!matches(selector, &web), "{selector}");
        }
    }

    #[test]
    fn an_invalid_requirement_is_named() {
        for (selector, requirement) in [
            ("app=web,,", ""),
            ("a b", "a b"),
            ("a in b,c=d", "a in b"),
            ("a of (b)", "a of (b)"),
            ("=x", "=x"),
            ("a/b/c", "a/b/c"),
            ("b,app=-x", "app=-x"),
            ("app=x-", "app=x-"),
            ("app=a/b", "app=a/b"),
            ("/a", "/a"),
            ("a/", "a/"),
            ("Example.com/a", "Example.com/a"),
            ("a in (b,_)", "a in (b,_)"),
            ("_a", "_a"),
            ("a>b", "a>b"),
            ("a>=1", "a>=1"),
            ("a<", "a<"),
            (",", ""),
        ] {
            assert_eq!(parse_selector(selector).unwrap_err().requirement, requirement, "{selector}");
        }
    }
    #[test]
    fn keys_and_values_are_at_most_as_long_as_those_of_labels() {
        let long = |count: usize| "a".repeat(count);
        assert!(parse_selector(&format!("{0}={0}", long(63))).is_ok());
        assert!(parse_selector(&format!("a={}", long(64))).is_err());
        assert!(parse_selector(&long(64)).is_err());
        let domain = |count: usize| format!("{}/a", vec![long(count); 4].join("."));
        assert!(parse_selector(&domain(62)).is_ok() && parse_selector(&domain(63)).is_err());
    }
}
