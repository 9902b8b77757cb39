//! The audit results that exist, by policy: as much of them as is needed to write the next and delete the oldest. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::audit::{KEPT, Past};

/// The results of each policy, by the policy's uid and in their order; of two made at once the name decides.
#[derive(Debug, Default)]
pub struct AuditTrail {
    policies: HashMap<String, BTreeMap<(u64, String), Past>>,
    /// The results seen since a list began.
    listed: Option<HashSet<String>>,
}

impl AuditTrail {
    /// Begins to hear of every result anew.
    pub fn begin_list(&mut self) {
        self.listed = Some(HashSet::new());
    }

    /// Ends a list: what was neither made nor seen since its beginning is gone.
    pub fn end_list(&mut self) {
        let Some(listed) = self.listed.take() else { return };
        for results in self.policies.values_mut() {
            results.retain(|_, past| listed.contains(&past.name));
        }
        self.policies.retain(|_, results| !results.is_empty());
    }

    /// Notes a result that was made or seen.
    pub fn add(&mut self, policy_uid: &str, past: Past) {
        if let Some(listed) = &mut self.listed {
            listed.insert(past.name.clone());
        }
        let results = self.policies.entry(policy_uid.to_owned()).or_default();
        results.insert((past.sequence, past.name.clone()), past);
    }

    /// Notes a result that is known to exist, unless more is known of it.
    pub fn presume(&mut self, policy_uid: &str, past: Past) {
        let results = self.policies.entry(policy_uid.to_owned()).or_default();
        results.entry((past.sequence, past.name.clone())).or_insert(past);
    }

    /// Forgets a result.
    pub fn remove(&mut self, policy_uid: &str, name: &str) {
        if let Some(results) = self.policies.get_mut(policy_uid) {
            results.retain(|_, past| past.name != name);
            if results.is_empty() {
                self.policies.remove(policy_uid);
            }
        }
    }

    /// The newest result of a policy.
    pub fn latest(&self, policy_uid: &str) -> Option<&Past> {
        self.policies.get(policy_uid)?.values().next_back()
    }

    /// The results of a policy that are more than are kept, the oldest first.
    pub fn surplus(&self, policy_uid: &str) -> Vec<Past> {
        let Some(results) = self.policies.get(policy_uid) else { return Vec::new() };
        results.values().take(results.len().saturating_sub(KEPT)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(sequence: u64) -> Past {
        Past {
            name: format!("p-{sequence}"),
            uid: String::new(),
            sequence,
            content: String::new(),
            created: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_was_seen_wins_over_what_is_presumed() {
        let mut trail = AuditTrail::default();
        let uid = |trail: &AuditTrail| trail.latest("uid").unwrap().uid.clone();
        trail.presume("uid", past(1));
        assert_eq!(uid(&trail), "");
        trail.add("uid", Past { uid: "seen".to_owned(), ..past(1) });
        trail.presume("uid", past(1));
        assert_eq!((uid(&trail), trail.policies["uid"].len()), ("seen".to_owned(), 1));
    }

    #[test]
    fn the_newest_is_known_by_its_sequence_and_the_oldest_are_surplus() {
        let mut trail = AuditTrail::default();
        for sequence in (1..=12).rev() {
            trail.add("uid", past(sequence));
        }
        assert_eq!(trail.latest("uid").unwrap().sequence, 12);
        assert_eq!(trail.surplus("uid").iter().map(|past| past.sequence).collect::<Vec<_>>(), [1, 2]);
        assert!(trail.latest("other").is_none() && trail.surplus("other").is_empty());
        for sequence in 1..=12 {
            trail.remove("uid", &format!("p-{sequence}"));
        }
        trail.add("uid", past(13));
        trail.add("uid", past(14));
        trail.begin_list();
        trail.add("uid", past(14));
        trail.end_list();
        assert_eq!(trail.policies["uid"].len(), 1, "13 was not listed");
        trail.remove("uid", "p-14");
        assert!(trail.policies.is_empty(), "a policy without results leaves no trace");
    }
}
