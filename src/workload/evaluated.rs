//! The subject of every rule: a pod, or the template of future pods.

use std::sync::Arc;

use super::fields::Fields;
use super::metadata::KNATIVE_SERVICE;
use super::{
    Labels, Metadata, OwnerReference, PodSpec, PodStatus, WorkloadKind, WorkloadSpec, WorkloadStatus,
};

/// A pod, or a workload's pod template seen as the one pod that it describes.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload<'a> {
    /// The object's kind.
    pub kind: WorkloadKind,
    /// The object's metadata.
    pub metadata: Metadata<'a>,
    /// The labels of the template, where there is one.
    pub template_labels: Option<Labels<'a>>,
    /// The annotations of the template (a detail).
    pub template_annotations: Option<Labels<'a>>,
    /// True where the spec has a selector.
    pub has_selector: bool,
    /// True if the object was read with its details.
    pub has_details: bool,
    /// True if the object was read with all of its annotations.
    pub has_annotations: bool,
    /// The other fields of the spec (a detail).
    pub spec: Option<Box<WorkloadSpec<'a>>>,
    /// The workload whose template this one uses instead of its own, as a Rollout's `workloadRef` names it.
    pub uses_template_of: Option<Box<OwnerReference<'a>>>,
    /// The pod's spec. Pods of one template can share it.
    pub pod: Arc<PodSpec<'a>>,
    /// The pod's status; a template has none.
    pub status: Option<PodStatus<'a>>,
    /// The status of the workload itself (a detail).
    pub own_status: Option<Box<WorkloadStatus<'a>>>,
    /// The object as JSON, for rules of users; only where [`Fields::Raw`] asks for it.
    pub raw: Option<Arc<serde_json::Value>>,
}

impl Workload<'_> {
    /// Returns true if the workload was read with all of these fields.
    pub fn has(&self, fields: Fields) -> bool {
        match fields.of_kind(self.kind) {
            Fields::Default => true,
            Fields::Raw(..) => self.raw.is_some(),
            Fields::Details => self.has_details,
            Fields::All | Fields::With(_) => self.has_annotations,
        }
    }

    /// The object's name, or the prefix of its future name.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().or(self.metadata.generate_name.as_deref()).unwrap_or_default()
    }

    /// Tells a pod from a template.
    pub fn is_pod(&self) -> bool {
        self.kind == WorkloadKind::Pod
    }

    /// Returns true if the object only exists for another workload, which is evaluated in its place: a `ReplicaSet`, a
    /// `ReplicationController` or a Job with a controller.
    pub fn is_managed(&self) -> bool {
        self.may_be_managed() && self.metadata.controller().is_some()
    }

    /// Returns true if objects of this kind can stand between pods and the workload that a user edits.
    pub fn may_be_managed(&self) -> bool {
        use WorkloadKind::{Job, ReplicaSet, ReplicationController};
        matches!(self.kind, ReplicaSet | ReplicationController | Job)
    }

    /// Returns true if the pod is meant to end, as the pods of Jobs are.
    pub fn runs_to_completion(&self) -> bool {
        match self.kind {
            WorkloadKind::Job | WorkloadKind::CronJob => true,
            WorkloadKind::Pod => self.metadata.controller().is_some_and(|owner| &*owner.kind == "Job"),
            _ => false,
        }
    }

    /// Returns true if Knative runs the pod: its proxy probes the containers for readiness, asked or not.
    pub fn runs_on_knative(&self) -> bool {
        let is_labelled = || self.labels().is_some_and(|labels| labels.get(KNATIVE_SERVICE).is_some());
        self.kind == WorkloadKind::KnativeService || is_labelled()
    }

    /// Returns true if the pod is in a terminal phase, so that there is nothing left to evaluate.
    pub fn is_terminal(&self) -> bool {
        self.status.as_ref().is_some_and(PodStatus::is_terminal)
    }

    /// The labels of the pod, or of the template.
    pub fn labels(&self) -> Option<&Labels<'_>> {
        if self.is_pod() { self.metadata.labels.as_ref() } else { self.template_labels.as_ref() }
    }

    /// The annotations of the pod, or of the template (a detail).
    pub fn pod_annotations(&self) -> Option<&Labels<'_>> {
        if self.is_pod() { self.metadata.annotations.as_ref() } else { self.template_annotations.as_ref() }
    }

    /// The path of the metadata of the pod, or of the template, in the object.
    pub fn pod_metadata_path(&self) -> String {
        format!("{}metadata", self.pod_path().strip_suffix("spec").unwrap_or_default())
    }

    /// The path of the pod's spec in the object.
    pub fn pod_path(&self) -> &'static str {
        self.kind.pod_path()
    }
}
