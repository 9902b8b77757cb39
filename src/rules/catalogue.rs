//! The registry: every rule, sorted by id.

use std::sync::LazyLock;

use super::{Fix, Rule, RuleId, api, efficiency, images, networking, rbac, reliability, security};

/// The rules of each category.
static CATEGORIES: [&[&Rule]; 7] = [
    api::RULES,
    efficiency::RULES,
    images::RULES,
    networking::RULES,
    rbac::RULES,
    reliability::RULES,
    security::RULES,
];

/// Every rule, sorted by id.
pub static RULES: LazyLock<Vec<&'static Rule>> = LazyLock::new(|| {
    let mut rules = CATEGORIES.concat();
    rules.sort_by_key(|rule| rule.id);
    rules
});

/// Finds a rule by its id.
pub fn find(id: &str) -> Option<&'static Rule> {
    let place = RULES.binary_search_by(|rule| rule.id.as_str().cmp(id)).ok()?;
    RULES.get(place).copied()
}

/// Returns the fix of a rule; `None` for a rule without one.
pub fn fix_of(id: RuleId) -> Option<&'static Fix> {
    find(id.as_str())?.fix.as_ref()
}

/// Returns the rules that stand for a check of another tool, such as `polaris:tagNotSpecified`. Case doesn't matter.
pub fn of_peer(check: &str) -> Vec<&'static Rule> {
    // Popeye prints its codes as POP-106.
    let check = check.to_lowercase().replace("popeye:pop-", "popeye:");
    let stands_for = |rule: &&&Rule| rule.peers.iter().any(|peer| peer.eq_ignore_ascii_case(&check));
    RULES.iter().filter(stands_for).copied().collect()
}
