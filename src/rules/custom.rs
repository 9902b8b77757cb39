//! The rules that users define. They have an id and a place like any other rule; policies hold their expressions.

use std::sync::{PoisonError, RwLock};

use super::{Category, Check, RULES, Rule, RuleId, find};

/// The most ids of users' rules that one process can know.
///
/// A place never changes, because tallies are kept by place. So an id stays known while the process runs.
const MOST: usize = 4096;

static CUSTOM: RwLock<Vec<&'static Rule>> = RwLock::new(Vec::new());

/// Returns the rule of a user with an id; makes it if the id is new. `None` if the process knows too many ids.
pub fn custom(id: &str) -> Option<&'static Rule> {
    let mut known = CUSTOM.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(rule) = known.iter().find(|rule| rule.id.as_str() == id) {
        return Some(rule);
    }
    if known.len() >= MOST {
        return None;
    }
    let rule: &'static Rule = Box::leak(Box::new(Rule {
        id: RuleId::new(Box::leak(id.to_owned().into_boxed_str())),
        summary: "A rule of your own, in CEL",
        docs: "A rule of your own, in CEL. The policy or the file of rules has its expression.",
        category: Category::Custom,
        check: Check::Custom,
        ..Rule::BASE
    }));
    known.push(rule);
    Some(rule)
}

/// Finds a rule by its id, among those of users too.
pub fn known(id: &str) -> Option<&'static Rule> {
    find(id).or_else(|| find_custom(id).map(|(_, rule)| rule))
}

/// Returns the place of a rule in the registry, or behind it for a rule of a user; 0 for an unknown rule.
pub fn place(id: RuleId) -> usize {
    let own = RULES.binary_search_by_key(&id, |rule| rule.id).ok();
    own.or_else(|| find_custom(id.as_str()).map(|(place, _)| place)).unwrap_or(0)
}

/// Returns the rule at a place.
pub fn at(place: usize) -> Option<&'static Rule> {
    RULES.get(place).copied().or_else(|| custom_at(place))
}

/// Returns the rule of a user with an id, and its place behind those of the registry.
fn find_custom(id: &str) -> Option<(usize, &'static Rule)> {
    let known = CUSTOM.read().unwrap_or_else(PoisonError::into_inner);
    let place = known.iter().position(|rule| rule.id.as_str() == id)?;
    Some((RULES.len() + place, *known.get(place)?))
}

/// Returns the rule of a user at a place behind those of the registry.
fn custom_at(place: usize) -> Option<&'static Rule> {
    CUSTOM.read().unwrap_or_else(PoisonError::into_inner).get(place.checked_sub(RULES.len())?).copied()
}
