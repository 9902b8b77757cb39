//! The texts of a decision, within the limits of the API server.

use std::fmt::Write as _;

use super::{AdmissionDecision, NewViolation};

/// The most warnings in a response. The last one stands for the rest.
const MOST_WARNINGS: usize = 10;
/// The longest warning, in bytes. The API server keeps 4,096 characters of the warnings of all webhooks, and cuts each
/// to 256 beyond that: ten of ours leave more than a third to others.
const LONGEST_WARNING: usize = 250;
/// The most policies that a finding names.
const MOST_NAMES: usize = 3;
/// The most bytes of their names, beyond which only the first is named.
const LONGEST_NAMES: usize = 80;
/// The most findings in a denial.
const MOST_DENIALS: usize = 500;
/// The longest finding in a denial, in bytes.
const LONGEST_DENIAL: usize = 1_000;

/// Returns the message of a denial: one finding a line, with policy, rule, container, path and fix.
pub fn denial(decision: &AdmissionDecision) -> String {
    let found = decision.denied.len();
    let mut text = match found {
        1 => "1 violation that must be fixed first:".to_owned(),
        _ => format!("{found} violations that must be fixed first:"),
    };
    for finding in decision.denied.iter().take(MOST_DENIALS) {
        text.push_str("\n- ");
        text.push_str(&cut(line(finding), LONGEST_DENIAL));
    }
    if found > MOST_DENIALS {
        let _ = write!(text, "\n- and {} more", found - MOST_DENIALS);
    }
    text
}

/// Returns the warnings of a decision: ten at most, without line breaks, and none twice.
pub fn warnings(decision: &AdmissionDecision) -> Vec<String> {
    let problems = decision.problems.iter().map(|problem| problem.chars().map(printable).collect());
    let mut texts: Vec<String> = Vec::new();
    for text in problems.chain(decision.warned.iter().map(line)).map(|text| cut(text, LONGEST_WARNING)) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    if texts.len() > MOST_WARNINGS {
        let rest = texts.len() - (MOST_WARNINGS - 1);
        texts.truncate(MOST_WARNINGS - 1);
        texts.push(format!("and {rest} more violations: kube-devops analyze lists all of them"));
    }
    texts
}

fn line(finding: &NewViolation) -> String {
    let NewViolation { policies, rule, container, path, message, .. } = finding;
    let noun = if policies.len() == 1 { "policy" } else { "policies" };
    let policies = named(policies);
    let container = container.as_ref().map(|name| format!("container {name}, ")).unwrap_or_default();
    let text = format!("{noun} {policies}, rule {rule}: {container}{path}: {message}");
    text.chars().map(printable).collect()
}

/// Lists the first policies by name, and counts the rest: rule, path and fix must not be cut off.
fn named(policies: &[String]) -> String {
    let mut bytes = 0;
    let fits = |name: &&String| {
        bytes += name.len();
        bytes <= LONGEST_NAMES
    };
    let shown = policies.iter().take(MOST_NAMES).take_while(fits).count().max(1).min(policies.len());
    let names = policies[..shown].join(", ");
    match policies.len() - shown {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// Replaces control characters: the API server drops a warning with one.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// Cuts a text to a length in bytes.
fn cut(mut text: String, longest: usize) -> String {
    const END: &str = "...";
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest - END.len()));
        text.push_str(END);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::{LATEST_TAG, Severity};

    fn finding(message: &str) -> NewViolation {
        NewViolation {
            policies: vec!["baseline".to_owned()],
            rule: LATEST_TAG.id,
            severity: Severity::High,
            container: Some("web".to_owned()),
            path: "spec.containers[0].image".to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn a_denial_names_policy_rule_container_path_and_fix_of_each_finding() {
        let mut two = finding("no tag");
        two.policies.push("strict".to_owned());
        two.container = None;
        let decision = AdmissionDecision {
            denied: vec![finding("name\na version"), two],
            ..AdmissionDecision::default()
        };
        assert_eq!(
            denial(&decision),
            "2 violations that must be fixed first:\n\
             - policy baseline, rule latest-tag: container web, spec.containers[0].image: name a version\n\
             - policies baseline, strict, rule latest-tag: spec.containers[0].image: no tag"
        );
        let many = AdmissionDecision {
            denied: vec![finding(&"x".repeat(5_000)); 1_000],
            ..AdmissionDecision::default()
        };
        assert!(denial(&many).len() < 600_000 && denial(&many).ends_with("\n- and 500 more"));
    }

    #[test]
    fn many_policies_leave_room_for_rule_path_and_fix() {
        let of = |names: Vec<String>| {
            let finding = NewViolation { policies: names, ..finding("name a version") };
            let decision = AdmissionDecision {
                denied: vec![finding.clone()],
                warned: vec![finding],
                ..AdmissionDecision::default()
            };
            (denial(&decision), warnings(&decision).remove(0))
        };
        let numbered = |count| (0..count).map(|number| format!("team-{number}")).collect();
        let rest = "rule latest-tag: container web, spec.containers[0].image: name a version";
        for (names, expected) in [
            (numbered(3), "policies team-0, team-1, team-2".to_owned()),
            (numbered(4), "policies team-0, team-1, team-2 and 1 more".to_owned()),
            (numbered(900), "policies team-0, team-1, team-2 and 897 more".to_owned()),
            (vec!["a".repeat(60), "b".repeat(60)], format!("policies {} and 1 more", "a".repeat(60))),
        ] {
            let (denied, warned) = of(names);
            assert_eq!(denied, format!("1 violation that must be fixed first:\n- {expected}, {rest}"));
            assert_eq!(warned, format!("{expected}, {rest}"));
        }
    }

    proptest! {
        #[test]
        fn warnings_stay_within_the_limits_of_the_api_server(
            messages in prop::collection::vec("[\\PC\n\t]{0,400}", 0..40),
            problems in prop::collection::vec("[\\PC\n\t]{0,400}", 0..4),
        ) {
            let warned: Vec<_> = messages.iter().map(|message| finding(message)).collect();
            let decision = AdmissionDecision { warned, problems, ..AdmissionDecision::default() };
            let texts = warnings(&decision);
            prop_assert!(texts.len() <= 10);
            prop_assert_eq!(texts.is_empty(), messages.is_empty() && decision.problems.is_empty());
            for (index, text) in texts.iter().enumerate() {
                prop_assert!(text.len() <= 256 && !text.chars().any(char::is_control), "{text:?}");
                prop_assert!(!texts[..index].contains(text), "repeated: {text}");
            }
        }
    }
}
