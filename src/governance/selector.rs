//! Label selectors as kubectl's `-l` takes them.

use kube::core::{Expression, Selector};

/// The text is not a label selector.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{requirement:?} is no label requirement: write key=value, key!=value, key in (a,b), key notin (a,b), key or !key"
)]
pub struct SelectorError {
    requirement: String,
}

/// Parses a label selector such as `app=web,tier in (a,b),!canary`.
pub fn parse_selector(text: &str) -> Result<Selector, SelectorError> {
    let mut depth = 0_u32;
    let requirements = text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    requirements
        .map(|requirement| {
            parse_requirement(requirement.trim())
                .ok_or_else(|| SelectorError { requirement: requirement.trim().to_owned() })
        })
        .collect()
}

fn parse_requirement(text: &str) -> Option<Expression> {
    if let Some((key, value)) = text.split_once("!=") {
        return Some(Expression::NotEqual(token(key)?, value_token(value)?));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Expression::Equal(token(key)?, value_token(value)?));
    }
    if let Some(rest) = text.strip_suffix(')') {
        let (head, values) = rest.split_once('(')?;
        let (key, operator) = head.trim_end().rsplit_once(char::is_whitespace)?;
        let values = values.split(',').map(value_token).collect::<Option<_>>()?;
        return match operator {
            "in" => Some(Expression::In(token(key)?, values)),
            "notin" => Some(Expression::NotIn(token(key)?, values)),
            _ => None,
        };
    }
    match text.strip_prefix('!') {
        Some(key) => Some(Expression::DoesNotExist(token(key)?)),
        None => Some(Expression::Exists(token(text)?)),
    }
}

fn token(text: &str) -> Option<String> {
    value_token(text).filter(|token| !token.is_empty())
}

fn value_token(text: &str) -> Option<String> {
    let text = text.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    text.chars().all(allowed).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kube::core::SelectorExt;

    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        parse_selector(selector).unwrap().matches(&labels)
    }

    #[test]
    fn every_form_of_requirement_selects() {
        let web = [("app", "web"), ("tier", "a")];
        for selector in [
            "app=web",
            "app==web",
            "app != db",
            "tier in (a, b)",
            "tier notin (c)",
            "app",
            "!canary",
            "app=web,tier in (a,b),!x",
        ] {
            assert!(matches(selector, &web), "{selector}");
        }
        for selector in
            ["app=db", "app!=web", "tier in (b,c)", "tier notin (a)", "canary", "!app", "app=web,canary"]
        {
            assert!(!matches(selector, &web), "{selector}");
        }
    }

    #[test]
    fn what_is_no_requirement_is_named() {
        for (selector, requirement) in [
            ("app=web,,", ""),
            ("a b", "a b"),
            ("a in b,c=d", "a in b"),
            ("a of (b)", "a of (b)"),
            ("=x", "=x"),
        ] {
            assert_eq!(parse_selector(selector).unwrap_err().requirement, requirement, "{selector}");
        }
    }
}
