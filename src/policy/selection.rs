//! A choice of rules by name, as a user types it: sets, ids and categories, added and taken away.

use std::collections::BTreeSet;

use super::suggestion::similar;
use crate::rules::{self, Category, RULES, Rule};

/// A named set of rules.
struct Set {
    name: &'static str,
    has: fn(&Rule) -> bool,
}

/// The named sets.
const SETS: [Set; 3] = [
    Set { name: "default", has: |rule| rule.in_default_score },
    Set { name: "recommended", has: |rule| rule.in_default_score || rule.is_recommended() },
    Set { name: "all", has: |_| true },
];

/// An invalid choice of rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// A name is neither a rule, a set nor a category.
    #[error("there is no rule {name:?}{}", way_out(name))]
    Unknown {
        /// The name.
        name: String,
    },
    /// No rule is left.
    #[error("{0:?} chooses no rule: name at least one")]
    Empty(String),
}

/// Returns the places of the chosen rules in the registry, sorted.
///
/// The text has names between commas. A name with `-` takes its rules away, and one with `+` or nothing adds them. If
/// the first name has a sign, the default rules come before it.
pub(super) fn select(text: &str) -> Result<BTreeSet<usize>, SelectionError> {
    let mut chosen = BTreeSet::new();
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    for (index, name) in names.enumerate() {
        let (sign, bare) = match name.strip_prefix(['+', '-']) {
            Some(bare) => (name.chars().next(), bare.trim()),
            None => (None, name),
        };
        if index == 0 && sign.is_some() {
            chosen.extend(places_of("default").unwrap_or_default());
        }
        let places = places_of(bare).ok_or_else(|| SelectionError::Unknown { name: bare.to_owned() })?;
        if sign == Some('-') {
            chosen.retain(|place| !places.contains(place));
        } else {
            chosen.extend(places);
        }
    }
    if chosen.is_empty() { Err(SelectionError::Empty(text.to_owned())) } else { Ok(chosen) }
}

/// Iterates over the names that choose rules: of sets, categories and rules.
pub fn rule_names() -> impl Iterator<Item = &'static str> {
    let sets = SETS.iter().map(|set| set.name);
    sets.chain(Category::ALL.map(Category::as_str)).chain(RULES.iter().map(|rule| rule.id.as_str()))
}

/// Returns the end of a message about an unknown name: the most similar one, or all kinds of names.
fn way_out(name: &str) -> String {
    match similar(name, rule_names()) {
        Some(best) => format!("; did you mean {best:?}?"),
        None => format!(
            ": name default, recommended or all, the id of a rule (kube-devops rules lists them), or a category ({})",
            Category::ALL.map(Category::as_str).join(", ")
        ),
    }
}

/// Returns the places of the rules that a name stands for; `None` for an unknown name.
fn places_of(name: &str) -> Option<BTreeSet<usize>> {
    let places = |has: &dyn Fn(&Rule) -> bool| {
        RULES.iter().enumerate().filter(|(_, rule)| has(rule)).map(|(place, _)| place).collect()
    };
    if let Some(set) = SETS.iter().find(|set| set.name == name) {
        return Some(places(&set.has));
    }
    if let Some(category) = Category::ALL.into_iter().find(|category| category.as_str() == name) {
        return Some(places(&|rule| rule.category == category));
    }
    rules::find(name).map(|rule| [rules::place(rule.id)].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<&'static str> {
        select(text).unwrap().into_iter().map(|place| RULES[place].id.as_str()).collect()
    }

    #[test]
    fn names_are_added_and_removed_in_order() {
        let default = ids("default");
        assert_eq!(default.len(), 5);
        assert_eq!(ids("all").len(), RULES.len());
        assert_eq!(ids("latest-tag, pending"), ["latest-tag", "pending"]);
        assert_eq!(ids("default,-pending").len(), 4);
        assert_eq!(ids("-pending"), ids("default,-pending"));
        assert!(ids("+security").len() > default.len() && ids("+security").contains(&"latest-tag"));
        assert!(!ids("security").contains(&"latest-tag"));
        assert_eq!(ids("all,-all,pending"), ["pending"]);
    }

    #[test]
    fn the_recommended_rules_have_those_of_the_score_and_no_other_low_ones() {
        let recommended = ids("recommended");
        assert!(ids("default").iter().all(|id| recommended.contains(id)));
        for id in recommended {
            let rule = rules::find(id).unwrap();
            assert!(rule.severity > crate::rules::Severity::Low || rule.in_default_score, "{id}");
        }
    }

    #[test]
    fn an_unknown_name_and_an_empty_choice_are_refused() {
        let error = |text| select(text).unwrap_err().to_string();
        assert_eq!(error("recomended"), "there is no rule \"recomended\"; did you mean \"recommended\"?");
        assert_eq!(error("all,-latest-tga"), "there is no rule \"latest-tga\"; did you mean \"latest-tag\"?");
        assert!(error("xyz").starts_with("there is no rule \"xyz\": name default, recommended or all"));
        assert_eq!(error("pending,-pending"), "\"pending,-pending\" chooses no rule: name at least one");
        assert_eq!(error(" , "), "\" , \" chooses no rule: name at least one");
    }
}
