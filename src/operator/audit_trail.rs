//! The audit results of each policy, reduced to the metadata from which the next one and the surplus are computed.
//! Pure.

use std::collections::BTreeSet;

use super::audit::{KEPT, Past};
use crate::cluster::{ListMark, Store};

/// The results of each policy in each namespace, by the policy's uid. The name orders results with the same sequence
/// number.
#[derive(Debug, Default)]
pub struct AuditTrail {
    results: Store<String, Past>,
}

impl AuditTrail {
    /// Starts a list. Known results stay until [`AuditTrail::end_list`].
    pub fn begin_list(&mut self) -> ListMark {
        self.results.begin_list()
    }

    /// Ends a list, in one namespace or in all: removes the results that were neither created nor listed since its start.
    pub fn end_list(&mut self, begun: ListMark, within: Option<&str>) {
        self.results
            .end_list(begun, None, |_, past| within.is_none_or(|namespace| past.namespace == namespace));
    }

    /// Adds a created or observed result.
    pub fn add(&mut self, policy_uid: &str, past: Past) {
        self.results.insert(&group(policy_uid, &past.namespace), past.name.clone(), past);
    }

    /// Adds a result that is known to exist, unless it was already observed.
    pub fn presume(&mut self, policy_uid: &str, past: Past) {
        if self.results.see(&group(policy_uid, &past.namespace), &past.name).is_none() {
            self.add(policy_uid, past);
        }
    }

    /// Removes a result.
    pub fn remove(&mut self, policy_uid: &str, past: &Past) {
        self.results.remove(&group(policy_uid, &past.namespace), &past.name);
    }

    /// Returns the newest result of a policy in a namespace.
    pub fn latest(&self, policy_uid: &str, namespace: &str) -> Option<&Past> {
        self.of(policy_uid, namespace).into_iter().max_by_key(|past| past.place())
    }

    /// Returns the results of a policy in a namespace beyond the number to keep, the oldest first.
    pub fn surplus(&self, policy_uid: &str, namespace: &str) -> Vec<Past> {
        let mut results = self.of(policy_uid, namespace);
        results.sort_unstable_by_key(|past| past.place());
        results.truncate(results.len().saturating_sub(KEPT));
        results.into_iter().cloned().collect()
    }

    /// Returns the results of a policy outside of some namespaces.
    pub fn elsewhere(&self, policy_uid: &str, namespaces: &BTreeSet<String>) -> Vec<Past> {
        let places = self.results.group_names().filter_map(|group| {
            let namespace = group.strip_prefix(policy_uid)?.strip_prefix('/')?;
            (!namespaces.contains(namespace)).then_some(namespace)
        });
        places.flat_map(|namespace| self.of(policy_uid, namespace)).cloned().collect()
    }

    fn of(&self, policy_uid: &str, namespace: &str) -> Vec<&Past> {
        self.results.group(&group(policy_uid, namespace)).map(|(_, past)| past).collect()
    }
}

/// Returns the group of a policy's results in a namespace.
fn group(policy_uid: &str, namespace: &str) -> String {
    format!("{policy_uid}/{namespace}")
}

impl Past {
    /// Returns the sort key within the policy.
    fn place(&self) -> (u64, &str) {
        (self.sequence, &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(sequence: u64) -> Past {
        Past {
            namespace: "shop".to_owned(),
            name: format!("p-{sequence}"),
            uid: String::new(),
            sequence,
            content: String::new(),
            created: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn observed_results_override_presumed_ones() {
        let mut trail = AuditTrail::default();
        let uid = |trail: &AuditTrail| trail.latest("uid", "shop").unwrap().uid.clone();
        trail.presume("uid", past(1));
        assert_eq!(uid(&trail), "");
        trail.add("uid", Past { uid: "seen".to_owned(), ..past(1) });
        trail.presume("uid", past(1));
        assert_eq!((uid(&trail), trail.of("uid", "shop").len()), ("seen".to_owned(), 1));
    }

    #[test]
    fn results_outside_of_the_namespaces_of_a_policy_are_found() {
        let mut trail = AuditTrail::default();
        for (uid, namespace) in [("uid", "shop"), ("uid", "bank"), ("uid-2", "bank")] {
            trail.add(uid, Past { namespace: namespace.to_owned(), ..past(1) });
        }
        let elsewhere = |selected: &[&str]| {
            let selected = selected.iter().map(|name| (*name).to_owned()).collect();
            trail.elsewhere("uid", &selected).into_iter().map(|past| past.namespace).collect::<Vec<_>>()
        };
        assert_eq!(elsewhere(&["shop", "blog"]), ["bank"]);
        assert_eq!(elsewhere(&["shop", "bank"]), [""; 0]);
    }

    #[test]
    fn the_sequence_orders_results_and_the_oldest_are_surplus() {
        let mut trail = AuditTrail::default();
        for sequence in (1..=12).rev() {
            trail.add("uid", past(sequence));
        }
        assert_eq!(trail.latest("uid", "shop").unwrap().sequence, 12);
        assert_eq!(trail.surplus("uid", "shop").iter().map(|past| past.sequence).collect::<Vec<_>>(), [1, 2]);
        assert!(trail.latest("other", "shop").is_none() && trail.surplus("other", "shop").is_empty());
        for sequence in 1..=12 {
            trail.remove("uid", &past(sequence));
        }
        trail.add("uid", past(13));
        trail.add("uid", past(14));
        let begun = trail.begin_list();
        trail.add("uid", past(14));
        trail.end_list(begun, Some("bank"));
        assert_eq!(trail.of("uid", "shop").len(), 2, "another namespace was listed");
        trail.end_list(begun, Some("shop"));
        assert_eq!(trail.of("uid", "shop").len(), 1, "13 was not listed");
        trail.remove("uid", &past(14));
        assert_eq!(trail.results.iter().count(), 0, "a policy without results leaves no trace");
    }
}
