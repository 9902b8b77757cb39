//! The reasons for which enforcement skips a workload. Conditions, rehearsals and docs take their spelling from here.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};

/// The reason why a workload is not patched, or not yet.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    JsonSchema,
    IntoStaticStr,
    VariantArray,
)]
pub enum SkipReason {
    /// The workload may be patched, and waits for its turn.
    Waiting,
    /// The workload is being deleted.
    BeingDeleted,
    /// The workload was deleted.
    Gone,
    /// The annotation `devops.stochastic.io/ignore` excludes the workload.
    Ignored,
    /// A controller owns the workload, and would revert a patch.
    Controlled,
    /// Another client has fields under the name of enforcement's field manager.
    ManagerTaken,
    /// A GitOps tool manages the workload, and would revert a patch.
    ManagedByGitOps,
    /// Another policy of the namespace decides the patch.
    OtherPolicy,
    /// An earlier patch failed, and would again.
    FailedBefore,
    /// An earlier patch was withdrawn, and the next attempt waits.
    BackingOff,
    /// No violation of the workload has a fix that may be applied.
    NoFix,
    /// The record of the patch would have too many fields.
    TooManyFields,
    /// The update strategy is `OnDelete`, so a patch would reach no pod by itself.
    OnDelete,
    /// A partition would keep a patch from some of the pods.
    Partitioned,
    /// The rollout is paused.
    Paused,
    /// No pods are desired, so the effect of a patch could not be observed.
    NoPods,
    /// The strategy is Recreate, so a rollout ends all pods first.
    RecreatedWhole,
    /// A StatefulSet ends each pod before it starts the new one.
    StatefulSet,
    /// A rollout ends a pod before it starts a new one.
    NoSurge,
    /// A rollout may end all old pods.
    NoPodKept,
    /// The pods use the network of the node.
    HostNetwork,
    /// The pods use a port of the node.
    HostPort,
    /// A claim of the pods cannot be used on two nodes.
    ClaimOfOneNode,
    /// Nothing listens on the port of a probe.
    PortRefused,
    /// A pod did not answer a connection to the port of a probe.
    PortUnreachable,
    /// A proxy answers in place of the server.
    AnswerUnknown,
    /// No other pod is ready, so none is connected to.
    LastPod,
    /// A pod answered the test connection, and is watched for a minute.
    ConnectWatched,
    /// A pod ended or restarted after the test connection.
    ConnectHarmed,
    /// A rollout is in progress.
    RollingOut,
    /// Some pods are not available.
    PodsUnavailable,
    /// A container restarted lately, so restarts after a patch would prove nothing.
    RestartedLately,
    /// A resource quota has no room for a rollout.
    QuotaExceeded,
    /// A `PodDisruptionBudget` allows no disruption now.
    DisruptionBudget,
    /// The workload could not be checked, because a request failed.
    CheckFailed,
    /// The patch could not be sent within two minutes, and is planned again later.
    NotSent,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns the spelling in conditions and rehearsals.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_documentation_lists_every_skip_reason_with_its_meaning() {
        let page = include_str!("../../docs/enforcement.md");
        let schema = serde_json::to_value(schemars::schema_for!(SkipReason)).unwrap();
        let described = schema["oneOf"].as_array().unwrap();
        assert_eq!(described.len(), SkipReason::ALL.len());
        for (reason, described) in SkipReason::ALL.iter().zip(described) {
            assert_eq!(described["const"], json!(reason.as_str()));
            let meaning = described["description"].as_str().unwrap().trim_end_matches('.');
            let row = format!("| `{reason}` | {meaning} |");
            assert!(page.contains(&row), "docs/enforcement.md lacks: {row}");
        }
    }
}
