//! The pods that keep a `StatefulSet` from its current revision after a withdrawal. Pure.
//!
//! The controller replaces pods one by one, in order, and waits for each to become ready. It never replaces a pod that
//! does not become ready, so the pods of an earlier revision stay stuck:
//! <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback>.

use super::objects::Pod;
use super::rollout_progress::RolloutProgress;
use super::symptoms::{is_ready, ordinal};

/// The label with the revision of the pods of a `StatefulSet` or a `DaemonSet`.
pub const CONTROLLER_REVISION_HASH: &str = "controller-revision-hash";

/// Returns the pods of a workload, by its uid, that are of earlier revisions and are not ready or are being deleted.
/// They may be of any earlier revision: the patch's own, or a later release of the owner with the fields of the patch.
///
/// Pods that a partition holds back are not among them, because the controller creates them again from the earlier
/// revision.
pub fn blocking_pods<'p>(pods: &'p [Pod], uid: &str, progress: &RolloutProgress) -> Vec<&'p Pod> {
    let revision = |pod: &Pod| pod.metadata.labels.as_ref()?.get(CONTROLLER_REVISION_HASH).cloned();
    let is_owned = |pod: &Pod| pod.metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid);
    let Some(current) = &progress.revision else { return Vec::new() };
    let first = i64::from(progress.first_ordinal).saturating_add(progress.partition.into());
    let is_blocking = |pod: &&Pod| {
        is_owned(pod)
            && revision(pod).is_some_and(|revision| revision != *current)
            && ordinal(pod).is_some_and(|ordinal| ordinal >= first)
            && (!is_ready(pod) || pod.metadata.deletion_timestamp.is_some())
    };
    pods.iter().filter(is_blocking).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, revision: &str, ready: &str, deleted: Option<&str>) -> Pod {
        let labels = json!({ CONTROLLER_REVISION_HASH: revision });
        let owner = json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u" });
        let metadata = json!({ "name": name, "labels": labels, "deletionTimestamp": deleted,
            "ownerReferences": [owner] });
        let status = json!({ "conditions": [{ "type": "Ready", "status": ready }] });
        serde_json::from_value(json!({ "metadata": metadata, "status": status })).unwrap()
    }

    #[test]
    fn a_pod_that_is_not_ready_blocks_from_any_earlier_revision() {
        let pods = [
            pod("db-5", "patched", "True", None),
            pod("db-6", "patched", "False", None),
            pod("db-7", "release", "False", None),
            pod("db-8", "release", "True", Some("2026-01-02T03:04:05Z")),
            pod("db-9", "current", "False", None),
        ];
        let names = |progress: &RolloutProgress| {
            blocking_pods(&pods, "u", progress).into_iter().map(Pod::name).collect::<Vec<_>>()
        };
        let progress = RolloutProgress { revision: Some("current".to_owned()), ..RolloutProgress::default() };
        assert_eq!(names(&progress), ["db-6", "db-7", "db-8"]);
        let held = RolloutProgress { partition: 2, first_ordinal: 5, held: true, ..progress.clone() };
        assert_eq!(names(&held), ["db-7", "db-8"], "the controller would create db-6 as it was");
        assert!(blocking_pods(&pods, "another", &progress).is_empty(), "they match its selector by accident");
        assert!(names(&RolloutProgress::default()).is_empty(), "the current revision is unknown");
    }
}
