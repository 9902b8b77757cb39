//! Enforcement in figures, derived from what policies' statuses record: nothing is lost with a process, or counted twice.
//!
//! Every replica counts what it sees, and begins with what the statuses already tell.

use prometheus::{IntCounter, IntCounterVec, Opts};

use crate::enforcement::records;
use crate::policy::{DevOpsPolicyStatus, Remediation, RemediationPhase, RemediationReason};
use crate::telemetry::{Metrics, MetricsError};

/// The category of failures that a status counts, but of which no record is left.
const UNRECORDED: &str = "unrecorded";

/// The counters of enforcement.
#[derive(Debug, Clone)]
pub struct RemediationMetrics {
    applied: IntCounter,
    failed: IntCounterVec,
    withdrawals: IntCounterVec,
}

impl RemediationMetrics {
    /// Makes the counters and registers them.
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
            withdrawals: by("enforcement_withdrawals_total", "Patches taken back, by cause.")?,
        };
        for category in
            RemediationReason::ALL.iter().filter(|reason| reason.is_counted()).map(|reason| reason.label())
        {
            made.failed.with_label_values(&[category]);
            made.withdrawals.with_label_values(&[category]);
        }
        made.failed.with_label_values(&[UNRECORDED]);
        Ok(made)
    }

    /// Counts what a status tells that the one before it did not.
    pub fn count(&self, before: Option<&DevOpsPolicyStatus>, after: &DevOpsPolicyStatus) {
        let applied = |status: &DevOpsPolicyStatus| status.remediations_applied.unwrap_or_default();
        self.applied.inc_by(applied(after).saturating_sub(before.map_or(0, applied)));
        let failed = |status: &DevOpsPolicyStatus| status.remediations_failed.unwrap_or_default();
        let mut failures = failed(after).saturating_sub(before.map_or(0, failed));
        let known = before.map_or(&[][..], |status| &status.remediations);
        let is_known = |record: &Remediation| {
            let mut known = known.iter();
            known.any(|known| {
                (known.workload(), known.phase, &known.time)
                    == (record.workload(), record.phase, &record.time)
            })
        };
        for record in after.remediations.iter().filter(|record| !is_known(record)) {
            let category = record.reason.unwrap_or(RemediationReason::Other).label();
            let withdrawn = record.phase == RemediationPhase::Withdrawn;
            if withdrawn {
                self.withdrawals.with_label_values(&[category]).inc();
            }
            if records::is_failure(record) {
                self.failed.with_label_values(&[category]).inc();
                failures = failures.saturating_sub(1);
            }
        }
        self.failed.with_label_values(&[UNRECORDED]).inc_by(failures);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(applied: u64, phase: RemediationPhase, reason: &str) -> DevOpsPolicyStatus {
        let record = serde_json::json!({
            "kind": "Deployment", "name": "web", "phase": phase, "reason": reason, "time": "2026-01-01T00:00:00Z",
        });
        DevOpsPolicyStatus {
            remediations_applied: Some(applied),
            remediations: vec![serde_json::from_value(record).unwrap()],
            ..DevOpsPolicyStatus::default()
        }
    }

    #[test]
    fn each_transition_is_counted_once_and_a_new_process_begins_with_what_was_recorded() {
        let metrics = RemediationMetrics::new().unwrap();
        let applied = status(3, RemediationPhase::Applied, "Patched");
        let withdrawn = status(3, RemediationPhase::Withdrawn, "CrashLoop");
        metrics.count(None, &applied);
        metrics.count(Some(&applied), &withdrawn);
        metrics.count(Some(&withdrawn), &withdrawn);
        let of = |counters: &IntCounterVec, category| counters.with_label_values(&[category]).get();
        assert_eq!(metrics.applied.get(), 3);
        assert_eq!((of(&metrics.failed, "crash_loop"), of(&metrics.withdrawals, "crash_loop")), (1, 1));
        let again = RemediationMetrics::new().unwrap();
        again.count(None, &withdrawn);
        assert_eq!((again.applied.get(), of(&again.withdrawals, "crash_loop")), (3, 1));
        again.count(Some(&withdrawn), &status(3, RemediationPhase::Failed, "Whatever"));
        assert_eq!((of(&again.failed, "other"), of(&again.withdrawals, "other")), (1, 0));
    }

    #[test]
    fn failures_are_as_many_as_the_status_counts_though_later_records_replaced_theirs() {
        let failed = |failures: u64, reason: &str| DevOpsPolicyStatus {
            remediations_failed: Some(failures),
            ..status(4, RemediationPhase::Failed, reason)
        };
        let metrics = RemediationMetrics::new().unwrap();
        let of = |category| metrics.failed.with_label_values(&[category]).get();
        metrics.count(None, &failed(4, "Conflict"));
        assert_eq!((of("conflict"), of(UNRECORDED)), (1, 3));
        let planned = DevOpsPolicyStatus {
            remediations_failed: Some(4),
            ..status(4, RemediationPhase::Planned, "Planned")
        };
        metrics.count(Some(&failed(4, "Conflict")), &planned);
        metrics.count(Some(&planned), &failed(5, "Invalid"));
        assert_eq!((of("conflict"), of("invalid"), of(UNRECORDED)), (1, 1, 3));
    }
}
