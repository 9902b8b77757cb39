//! The progress of a workload's rollout, in the same terms for all three kinds. Pure. Has no dependency on pods or
//! time.

use super::objects::{DaemonSet, Deployment, StatefulSet};
use super::subject::{Subject, Typed};

/// The rollout of a workload as its controller reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RolloutProgress {
    /// True if the controller has observed the current spec. Otherwise the other fields describe an older spec.
    pub observed: bool,
    /// True if a pause, a partition or `OnDelete` holds the rollout.
    pub held: bool,
    /// The number of desired pods.
    pub wanted: i32,
    /// The pods of the newest revision.
    pub updated: i32,
    /// The ready pods, of any revision.
    pub ready: i32,
    /// The available pods, of any revision: ready for `minReadySeconds`.
    pub available: i32,
    /// The remaining pods of older revisions.
    pub outdated: i32,
    /// The newest revision of a `StatefulSet`, as in the label `controller-revision-hash` of its pods.
    pub revision: Option<String>,
    /// The ordinal of a `StatefulSet`'s first pod; 0 for other kinds.
    pub first_ordinal: i32,
    /// The number of a `StatefulSet`'s first pods that a partition keeps at an earlier revision.
    pub partition: i32,
    /// Seconds for which a pod must be ready before it is available.
    pub min_ready_seconds: i32,
    /// The pods' termination grace period in seconds.
    pub grace_seconds: i64,
    /// The reason and message of the condition that reports a failed rollout.
    pub failure: Option<(String, String)>,
}

/// The reason of a Deployment's condition if no pod became available within `progressDeadlineSeconds`.
pub(super) const DEADLINE_EXCEEDED: &str = "ProgressDeadlineExceeded";

impl RolloutProgress {
    /// Reads the rollout of a workload.
    pub fn of(subject: &Subject) -> Self {
        let mut progress = match &*subject.typed {
            Typed::Deployment(deployment) => of_deployment(deployment),
            Typed::StatefulSet(set) => of_stateful_set(set),
            Typed::DaemonSet(set) => of_daemon_set(set),
        };
        let spec = subject.template().and_then(|template| template.spec.as_ref());
        // The API server's default is 30 s.
        progress.grace_seconds = spec.and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
        progress
    }

    /// Returns true if every desired pod has the newest revision and is available, and no other pod is left.
    pub fn is_complete(&self) -> bool {
        self.observed && self.updated >= self.wanted && self.outdated == 0 && self.available >= self.wanted
    }

    /// Returns true if every desired pod has the newest revision and no other pod is left, available or not.
    pub fn is_rolled_out(&self) -> bool {
        self.observed && self.updated >= self.wanted && self.outdated == 0
    }
}

fn of_deployment(deployment: &Deployment) -> RolloutProgress {
    let spec = deployment.spec.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let updated = status.updated_replicas.unwrap_or(0);
    let conditions = status.conditions.unwrap_or_default();
    let find = |type_: &str, holds: &str| {
        conditions.iter().find(|condition| condition.type_ == type_ && condition.status == holds)
    };
    let late = find("Progressing", "False")
        .filter(|condition| condition.reason.as_deref() == Some(DEADLINE_EXCEEDED));
    let failure = late.or_else(|| find("ReplicaFailure", "True")).map(|condition| {
        (condition.reason.clone().unwrap_or_default(), condition.message.clone().unwrap_or_default())
    });
    RolloutProgress {
        observed: status.observed_generation >= deployment.metadata.generation,
        held: spec.paused == Some(true),
        wanted: spec.replicas.unwrap_or(1),
        updated,
        ready: status.ready_replicas.unwrap_or(0),
        available: status.available_replicas.unwrap_or(0),
        outdated: (status.replicas.unwrap_or(0) - updated).max(0),
        min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
        failure,
        ..RolloutProgress::default()
    }
}

fn of_stateful_set(set: &StatefulSet) -> RolloutProgress {
    let spec = set.spec.clone().unwrap_or_default();
    let status = set.status.clone().unwrap_or_default();
    let strategy = spec.update_strategy.unwrap_or_default();
    let partition = strategy.rolling_update.and_then(|rolling| rolling.partition).unwrap_or(0);
    let updated = status.updated_replicas.unwrap_or(0);
    RolloutProgress {
        observed: status.observed_generation >= set.metadata.generation,
        held: strategy.type_.as_deref() == Some("OnDelete") || partition > 0,
        wanted: spec.replicas.unwrap_or(1),
        updated,
        ready: status.ready_replicas.unwrap_or(0),
        available: status.available_replicas.unwrap_or(0),
        outdated: (status.replicas - updated).max(0),
        revision: status.update_revision,
        partition,
        first_ordinal: spec.ordinals.and_then(|ordinals| ordinals.start).unwrap_or(0),
        min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
        ..RolloutProgress::default()
    }
}

fn of_daemon_set(set: &DaemonSet) -> RolloutProgress {
    let spec = set.spec.clone().unwrap_or_default();
    let status = set.status.clone().unwrap_or_default();
    let strategy = spec.update_strategy.unwrap_or_default();
    let updated = status.updated_number_scheduled.unwrap_or(0);
    RolloutProgress {
        observed: status.observed_generation >= set.metadata.generation,
        held: strategy.type_.as_deref() == Some("OnDelete"),
        wanted: status.desired_number_scheduled,
        updated,
        ready: status.number_ready,
        available: status.number_available.unwrap_or(0),
        outdated: (status.current_number_scheduled - updated).max(0),
        min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
        ..RolloutProgress::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::workload::WorkloadKind;

    fn progress(kind: WorkloadKind, spec: Value, status: Value) -> RolloutProgress {
        let mut object = json!({
            "metadata": { "name": "web", "generation": 4 },
            "spec": { "selector": {}, "serviceName": "web", "template": { "spec": { "containers": [] } } },
            "status": { "observedGeneration": 4, "replicas": 0, "currentNumberScheduled": 0,
                "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0 },
        });
        for (key, part) in [("spec", spec), ("status", status)] {
            for (name, value) in part.as_object().unwrap() {
                object[key][name] = value.clone();
            }
        }
        RolloutProgress::of(&Subject::read(kind, object).unwrap())
    }

    fn deployment(status: Value) -> RolloutProgress {
        progress(WorkloadKind::Deployment, json!({ "replicas": 3 }), status)
    }

    #[test]
    fn a_deployment_is_complete_once_all_pods_are_new_and_available() {
        let all = json!({ "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3 });
        let complete = deployment(all.clone());
        assert!(complete.is_complete());
        assert_eq!((complete.wanted, complete.updated, complete.ready, complete.available), (3, 3, 3, 3));
        for (name, value) in [
            ("replicas", json!(4)),
            ("updatedReplicas", json!(2)),
            ("availableReplicas", json!(2)),
            ("observedGeneration", json!(3)),
            ("observedGeneration", Value::Null),
        ] {
            let mut status = all.clone();
            status[name] = value;
            assert!(!deployment(status.clone()).is_complete(), "{status}");
        }
        let mut status = all;
        status["availableReplicas"] = json!(2);
        assert!(deployment(status).is_rolled_out());
    }

    #[test]
    fn absent_fields_have_the_api_servers_defaults() {
        let absent = progress(WorkloadKind::Deployment, json!({}), json!({}));
        assert_eq!((absent.wanted, absent.updated, absent.grace_seconds, absent.held), (1, 0, 30, false));
        let set = progress(WorkloadKind::StatefulSet, json!({}), json!({}));
        assert_eq!((set.wanted, set.first_ordinal), (1, 0));
        let set = progress(WorkloadKind::DaemonSet, json!({}), json!({}));
        assert!(set.is_complete());
    }

    #[test]
    fn a_stateful_set_names_the_revision_of_its_new_pods() {
        let spec = json!({ "replicas": 2, "ordinals": { "start": 5 }, "minReadySeconds": 7 });
        let status = json!({ "replicas": 2, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2,
            "currentRevision": "web-1", "updateRevision": "web-2" });
        let rolling = progress(WorkloadKind::StatefulSet, spec, status);
        assert_eq!(rolling.revision.as_deref(), Some("web-2"));
        assert_eq!((rolling.outdated, rolling.first_ordinal, rolling.min_ready_seconds), (1, 5, 7));
        assert!(!rolling.is_complete());
    }

    #[test]
    fn a_daemon_set_wants_a_pod_on_each_of_its_nodes() {
        let status = json!({ "desiredNumberScheduled": 3, "currentNumberScheduled": 3, "updatedNumberScheduled": 2,
            "numberReady": 3, "numberAvailable": 3 });
        let rolling = progress(WorkloadKind::DaemonSet, json!({}), status.clone());
        assert_eq!((rolling.wanted, rolling.updated, rolling.outdated), (3, 2, 1));
        assert!(!rolling.is_complete());
        let mut done = status;
        done["updatedNumberScheduled"] = json!(3);
        assert!(progress(WorkloadKind::DaemonSet, json!({}), done).is_complete());
    }

    #[test]
    fn held_and_stuck_rollouts_are_distinguished() {
        for (kind, spec) in [
            (WorkloadKind::Deployment, json!({ "paused": true })),
            (WorkloadKind::StatefulSet, json!({ "updateStrategy": { "type": "OnDelete" } })),
            (WorkloadKind::StatefulSet, json!({ "updateStrategy": { "rollingUpdate": { "partition": 1 } } })),
            (WorkloadKind::DaemonSet, json!({ "updateStrategy": { "type": "OnDelete" } })),
        ] {
            assert!(progress(kind, spec.clone(), json!({})).held, "{spec}");
        }
        for (kind, spec) in [
            (WorkloadKind::Deployment, json!({ "paused": false })),
            (WorkloadKind::StatefulSet, json!({ "updateStrategy": { "rollingUpdate": { "partition": 0 } } })),
            (WorkloadKind::DaemonSet, json!({ "updateStrategy": { "type": "RollingUpdate" } })),
        ] {
            assert!(!progress(kind, spec.clone(), json!({})).held, "{spec}");
        }
    }

    #[test]
    fn a_failed_deployment_reports_the_reason_of_its_condition() {
        let condition = |type_: &str, status: &str, reason: &str| json!({ "type": type_, "status": status, "reason": reason, "message": "why" });
        let late = condition("Progressing", "False", DEADLINE_EXCEEDED);
        let refused = condition("ReplicaFailure", "True", "FailedCreate");
        let failure = |conditions: &[&Value]| {
            deployment(json!({ "conditions": conditions })).failure.map(|(reason, _)| reason)
        };
        assert_eq!(failure(&[&refused, &late]).as_deref(), Some(DEADLINE_EXCEEDED));
        assert_eq!(failure(&[&refused]).as_deref(), Some("FailedCreate"));
        assert_eq!(failure(&[&condition("Progressing", "True", "ReplicaSetUpdated")]), None);
        assert_eq!(failure(&[&condition("Progressing", "False", "Other")]), None);
        assert_eq!(failure(&[&condition("ReplicaFailure", "False", "FailedCreate")]), None);
    }
}
