//! The patches and withdrawals since the creation of the ledger, for metrics. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::{RemediationPhase, RemediationReason};

/// The numbers of patches and of their results.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The number of sent patches.
    #[serde(default)]
    pub applied: u64,
    /// The number of patches that were refused or withdrawn as harmful, by reason.
    #[serde(default)]
    pub failed: BTreeMap<RemediationReason, u64>,
    /// The number of withdrawals by reason.
    #[serde(default)]
    pub withdrawn: BTreeMap<RemediationReason, u64>,
}

impl Totals {
    /// Returns true if nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Counts the end of a patch.
    pub fn count(&mut self, phase: RemediationPhase, reason: RemediationReason) {
        use RemediationReason::{Reverted, TakenOut};
        let failed = !matches!(reason, Reverted | TakenOut);
        match phase {
            RemediationPhase::Withdrawn => {
                add(&mut self.withdrawn, reason);
                if failed {
                    add(&mut self.failed, reason);
                }
            }
            RemediationPhase::Failed if failed => add(&mut self.failed, reason),
            _ => {}
        }
    }
}

fn add(counts: &mut BTreeMap<RemediationReason, u64>, reason: RemediationReason) {
    let count = counts.entry(reason).or_default();
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawal_counts_as_a_failure_only_if_the_patch_did_harm() {
        use RemediationPhase::{Failed, Verified, Withdrawn};
        use RemediationReason::{Conflict, CrashLoop, Reverted, TakenOut};
        let mut totals = Totals::default();
        for (phase, reason) in [
            (Verified, RemediationReason::Verified),
            (Withdrawn, CrashLoop),
            (Withdrawn, CrashLoop),
            (Withdrawn, Reverted),
            (Failed, Conflict),
            (Failed, TakenOut),
        ] {
            totals.count(phase, reason);
        }
        assert_eq!(totals.failed, [(CrashLoop, 2), (Conflict, 1)].into());
        assert_eq!(totals.withdrawn, [(CrashLoop, 2), (Reverted, 1)].into());
        let text = serde_json::to_string(&totals).unwrap();
        assert_eq!(serde_json::from_str::<Totals>(&text).unwrap(), totals, "{text}");
    }
}
