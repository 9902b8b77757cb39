//! Fingerprints of violations: the same for one violation in every run and every cluster.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::governance::ViolationRow;
use crate::workload::short_digest;

/// Makes the fingerprints of a report, which are unique in it.
///
/// A fingerprint depends on namespace, workload, container and rule only. Lines, messages and file names are not part
/// of it, so it survives an edit of the file and a rename. Further violations with the same identity get a number.
#[derive(Debug, Default)]
pub(super) struct Fingerprints {
    /// The number of violations of each identity so far, by the identity's hash.
    seen: HashMap<u64, u32>,
}

impl Fingerprints {
    /// Returns the fingerprint of the next violation.
    pub(super) fn next(&mut self, violation: &ViolationRow<'_>) -> String {
        let ViolationRow { namespace, kind, name, owner, container, rule, .. } = violation;
        let workload = owner.map_or_else(|| format!("{kind}/{name}"), str::to_owned);
        let identity = [*namespace, &workload, container.unwrap_or_default(), rule.as_str()].join("\n");
        let mut hasher = DefaultHasher::new();
        identity.hash(&mut hasher);
        let count = self.seen.entry(hasher.finish()).or_default();
        *count += 1;
        match *count {
            1 => short_digest(&identity),
            number => short_digest(&format!("{identity}\n{number}")),
        }
    }
}
