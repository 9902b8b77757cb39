//! Metrics of enforcement: the totals of the ledger, which survive a restart. The status is not used, because others
//! may write it.

use prometheus::{IntCounter, IntCounterVec, Opts};

use crate::enforcement::Totals;
use crate::policy::RemediationReason;
use crate::telemetry::{Metrics, MetricsError};

/// The counters of enforcement.
#[derive(Debug, Clone)]
pub struct RemediationMetrics {
    applied: IntCounter,
    failed: IntCounterVec,
    withdrawals: IntCounterVec,
}

impl RemediationMetrics {
    /// Creates the counters and registers them.
    pub fn register(metrics: &Metrics) -> Result<Self, MetricsError> {
        let made = Self::new()
            .map_err(|source| MetricsError::Register { names: "of enforcement".to_owned(), source })?;
        metrics.register(made.applied.clone())?;
        metrics.register(made.failed.clone())?;
        metrics.register(made.withdrawals.clone())?;
        Ok(made)
    }

    fn new() -> prometheus::Result<Self> {
        let by = |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), &["category"]);
        let made = Self {
            applied: IntCounter::new("enforcement_remediations_applied_total", "Workloads patched.")?,
            failed: by(
                "enforcement_remediations_failed_total",
                "Patches that were refused, or did harm and were withdrawn, by cause.",
            )?,
            withdrawals: by("enforcement_withdrawals_total", "Patches withdrawn, by cause.")?,
        };
        for category in
            RemediationReason::ALL.iter().filter(|reason| reason.is_counted()).map(|reason| reason.label())
        {
            made.failed.with_label_values(&[category]);
            made.withdrawals.with_label_values(&[category]);
        }
        Ok(made)
    }

    /// Shows these totals. Totals below those that were shown are those of a new ledger.
    pub fn show(&self, totals: &Totals) {
        raise(&self.applied, totals.applied);
        for (counts, counters) in [(&totals.failed, &self.failed), (&totals.withdrawn, &self.withdrawals)] {
            for (reason, count) in counts {
                raise(&counters.with_label_values(&[reason.label()]), *count);
            }
        }
    }
}

fn raise(counter: &IntCounter, total: u64) {
    if total < counter.get() {
        counter.reset();
    }
    counter.inc_by(total.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::RemediationPhase;

    #[test]
    fn a_new_process_begins_with_the_totals_of_the_ledger() {
        let of = |counters: &IntCounterVec, category| counters.with_label_values(&[category]).get();
        let mut totals = Totals { applied: 3, ..Totals::default() };
        totals.count(RemediationPhase::Withdrawn, RemediationReason::CrashLoop);
        totals.count(RemediationPhase::Withdrawn, RemediationReason::Reverted);
        for _ in 0..2 {
            let metrics = RemediationMetrics::new().unwrap();
            metrics.show(&totals);
            metrics.show(&totals);
            assert_eq!(metrics.applied.get(), 3);
            assert_eq!((of(&metrics.failed, "crash_loop"), of(&metrics.withdrawals, "crash_loop")), (1, 1));
            assert_eq!((of(&metrics.failed, "reverted"), of(&metrics.withdrawals, "reverted")), (0, 1));
        }
    }

    #[test]
    fn a_new_ledger_begins_anew() {
        let metrics = RemediationMetrics::new().unwrap();
        for applied in [3, 1, 2] {
            metrics.show(&Totals { applied, ..Totals::default() });
            assert_eq!(metrics.applied.get(), applied);
        }
    }
}
