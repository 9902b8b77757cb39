//! The reasons of remediations. Status, events, metrics and docs take their spelling from here.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reason for the phase of a remediation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RemediationReason {
    /// The patch is planned and not sent yet.
    Planned,
    /// The workload is patched, and its new pods are watched.
    Patched,
    /// The new pods became available and stayed available.
    Verified,
    /// The API server did not respond, or timed out. The patch is retried.
    Unavailable,
    /// An admission webhook or policy denied the patch.
    AdmissionRefused,
    /// Another field manager owns a field that the patch would set.
    Conflict,
    /// Another client has fields under the name of enforcement's field manager, and a patch would remove them.
    ManagerTaken,
    /// RBAC does not allow the patch.
    Forbidden,
    /// The workload is gone, or another one has its name.
    Gone,
    /// The API server found the patched workload invalid.
    Invalid,
    /// Another client wrote the workload after it was read.
    Stale,
    /// The workload can't be read.
    Unreadable,
    /// A container of a new pod terminates repeatedly.
    CrashLoop,
    /// A probe of the patch ended a container three times within an hour.
    ProbeRestarts,
    /// Many workloads were in trouble at once, and the patch was withdrawn to see if that helps.
    Incident,
    /// The new pods are not created, for example because of a limit range.
    NotCreated,
    /// No more new pods became ready.
    NotReady,
    /// A container used more memory than its limit.
    #[serde(rename = "OOMKilled")]
    OomKilled,
    /// The deadline of the Deployment passed.
    ProgressDeadlineExceeded,
    /// A resource quota has no room for the patch or the new pods.
    QuotaExceeded,
    /// A container of a new pod terminated, and none had before.
    Restarted,
    /// No node has room for what the new pods request.
    Unschedulable,
    /// The patch failed after another client had changed the template too.
    ChangedMeanwhile,
    /// There was no evidence about the patch in time.
    NoVerdict,
    /// The new pods could not be read until there was a verdict.
    Unwatched,
    /// Fields stay in the workload because others set them too.
    CoOwned,
    /// The container no longer declares the port of a probe.
    PortGone,
    /// The patch was withdrawn because its policy was deleted.
    Reverted,
    /// `kube-devops undo` or another client removed the fields; the message says which.
    TakenOut,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

impl RemediationReason {
    /// Every reason.
    pub const ALL: [Self; 30] = [
        Self::Planned,
        Self::Patched,
        Self::Verified,
        Self::Unavailable,
        Self::AdmissionRefused,
        Self::Conflict,
        Self::ManagerTaken,
        Self::Forbidden,
        Self::Gone,
        Self::Invalid,
        Self::Stale,
        Self::Unreadable,
        Self::CrashLoop,
        Self::ProbeRestarts,
        Self::Incident,
        Self::NotCreated,
        Self::NotReady,
        Self::OomKilled,
        Self::ProgressDeadlineExceeded,
        Self::QuotaExceeded,
        Self::Restarted,
        Self::Unschedulable,
        Self::ChangedMeanwhile,
        Self::NoVerdict,
        Self::Unwatched,
        Self::CoOwned,
        Self::PortGone,
        Self::Reverted,
        Self::TakenOut,
        Self::Other,
    ];

    /// Returns the spelling in statuses, events and conditions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "Planned",
            Self::Patched => "Patched",
            Self::Verified => "Verified",
            Self::Unavailable => "Unavailable",
            Self::AdmissionRefused => "AdmissionRefused",
            Self::Conflict => "Conflict",
            Self::ManagerTaken => "ManagerTaken",
            Self::Forbidden => "Forbidden",
            Self::Gone => "Gone",
            Self::Invalid => "Invalid",
            Self::Stale => "Stale",
            Self::Unreadable => "Unreadable",
            Self::CrashLoop => "CrashLoop",
            Self::ProbeRestarts => "ProbeRestarts",
            Self::Incident => "Incident",
            Self::NotCreated => "NotCreated",
            Self::NotReady => "NotReady",
            Self::OomKilled => "OOMKilled",
            Self::ProgressDeadlineExceeded => "ProgressDeadlineExceeded",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::Restarted => "Restarted",
            Self::Unschedulable => "Unschedulable",
            Self::ChangedMeanwhile => "ChangedMeanwhile",
            Self::NoVerdict => "NoVerdict",
            Self::Unwatched => "Unwatched",
            Self::CoOwned => "CoOwned",
            Self::PortGone => "PortGone",
            Self::Reverted => "Reverted",
            Self::TakenOut => "TakenOut",
            Self::Other => "Other",
        }
    }

    /// Returns the spelling in the labels of metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Patched => "patched",
            Self::Verified => "verified",
            Self::Unavailable => "unavailable",
            Self::AdmissionRefused => "admission_refused",
            Self::Conflict => "conflict",
            Self::ManagerTaken => "manager_taken",
            Self::Forbidden => "forbidden",
            Self::Gone => "gone",
            Self::Invalid => "invalid",
            Self::Stale => "stale",
            Self::Unreadable => "unreadable",
            Self::CrashLoop => "crash_loop",
            Self::ProbeRestarts => "probe_restarts",
            Self::Incident => "incident",
            Self::NotCreated => "not_created",
            Self::NotReady => "not_ready",
            Self::OomKilled => "oom_killed",
            Self::ProgressDeadlineExceeded => "progress_deadline_exceeded",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Restarted => "restarted",
            Self::Unschedulable => "unschedulable",
            Self::ChangedMeanwhile => "changed_meanwhile",
            Self::NoVerdict => "no_verdict",
            Self::Unwatched => "unwatched",
            Self::CoOwned => "co_owned",
            Self::PortGone => "port_gone",
            Self::Reverted => "reverted",
            Self::TakenOut => "taken_out",
            Self::Other => "other",
        }
    }

    /// Returns true if a patch can fail or be withdrawn for this reason, so that it is counted.
    pub fn is_counted(self) -> bool {
        use RemediationReason::{Patched, Planned, Stale, TakenOut, Unavailable, Verified};
        !matches!(self, Planned | Patched | Verified | Stale | TakenOut | Unavailable)
    }

    /// Returns true if others can remove the cause of a refused patch without changing the policy or the workload.
    pub fn is_mended_elsewhere(self) -> bool {
        matches!(
            self,
            Self::AdmissionRefused
                | Self::Conflict
                | Self::ManagerTaken
                | Self::Forbidden
                | Self::QuotaExceeded
        )
    }
}

impl fmt::Display for RemediationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_reason_is_spelled_alike_in_json_and_in_text() {
        for reason in RemediationReason::ALL {
            assert_eq!(json!(reason), json!(reason.as_str()));
            assert_eq!(serde_json::from_value::<RemediationReason>(json!(reason)).unwrap(), reason);
        }
        let names: BTreeSet<&str> = RemediationReason::ALL.iter().map(|reason| reason.as_str()).collect();
        let labels: BTreeSet<&str> = RemediationReason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!((names.len(), labels.len()), (RemediationReason::ALL.len(), RemediationReason::ALL.len()));
    }

    #[test]
    fn a_reason_of_another_version_does_not_make_the_policy_unreadable() {
        let reason: RemediationReason = serde_json::from_value(Value::from("FromTheFuture")).unwrap();
        assert_eq!(reason, RemediationReason::Other);
    }

    #[test]
    fn the_documentation_lists_every_reason_with_its_meaning() {
        let page = include_str!("../../docs/enforcement.md");
        let schema = serde_json::to_value(schemars::schema_for!(RemediationReason)).unwrap();
        for described in schema["oneOf"].as_array().unwrap() {
            let (name, meaning) =
                (described["const"].as_str().unwrap(), described["description"].as_str().unwrap());
            let row = format!("| `{name}` | {} |", meaning.trim_end_matches('.'));
            assert!(page.contains(&row), "docs/enforcement.md lacks: {row}");
        }
    }
}
