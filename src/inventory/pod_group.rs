//! Pods that are alike, or a template of pods.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Identity, PodShape};
use crate::workload::{LabelSelector, Labels, ObjectKind, Workload, WorkloadKind};

/// Pods that are alike, or a template of pods.
#[derive(Debug, Clone)]
pub struct PodGroup {
    /// The template, or the first of the pods by name.
    pub identity: Identity,
    /// The labels of the pods.
    pub labels: Arc<Labels<'static>>,
    /// The part of their spec that relations read.
    pub shape: Arc<PodShape<'static>>,
    /// The origin of the pods.
    pub standing: Standing,
    /// The time at which the youngest of the pods was made, if a rule reads it.
    pub youngest: Option<Timestamp>,
}

/// The origin of pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A pod without a controller.
    Alone,
    /// Pods with a controller. The workload is in [`Identity::owner`].
    Managed,
    /// A template, from which a controller makes pods.
    Template(Box<TemplateFacts>),
}

/// The fields of a workload with a template that relations read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateFacts {
    /// The number of pods; `None` where the object leaves it out.
    pub replicas: Option<i64>,
    /// The type of `strategy` or `updateStrategy`; empty for the default.
    pub strategy: String,
    /// The governing Service of a `StatefulSet`.
    pub service_name: String,
}

/// The labels that controllers add to their pods, each with the kinds that do.
const ADDED: [(&str, &[WorkloadKind]); 12] = [
    ("pod-template-hash", &[WorkloadKind::Deployment, WorkloadKind::ReplicaSet]),
    ("rollouts-pod-template-hash", &[WorkloadKind::Rollout]),
    ("controller-revision-hash", &[WorkloadKind::StatefulSet, WorkloadKind::DaemonSet]),
    ("pod-template-generation", &[WorkloadKind::DaemonSet]),
    (POD_NAME, &[WorkloadKind::StatefulSet]),
    ("apps.kubernetes.io/pod-index", &[WorkloadKind::StatefulSet]),
    ("job-name", &[WorkloadKind::Job, WorkloadKind::CronJob]),
    ("batch.kubernetes.io/job-name", &[WorkloadKind::Job, WorkloadKind::CronJob]),
    ("controller-uid", &[WorkloadKind::Job, WorkloadKind::CronJob]),
    ("batch.kubernetes.io/controller-uid", &[WorkloadKind::Job, WorkloadKind::CronJob]),
    ("batch.kubernetes.io/job-completion-index", &[WorkloadKind::Job, WorkloadKind::CronJob]),
    ("deploymentconfig", &[WorkloadKind::DeploymentConfig]),
];
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";

impl TemplateFacts {
    pub(super) fn of(workload: &Workload<'_>) -> Self {
        let Some(spec) = &workload.spec else { return Self::default() };
        Self {
            replicas: spec.replicas,
            strategy: spec.strategy.as_ref().map_or(String::new(), |strategy| strategy.type_.to_string()),
            service_name: spec.service_name.to_string(),
        }
    }
}

impl PodGroup {
    /// Returns the kind of a workload; a pod for pods with a controller.
    pub fn kind(&self) -> WorkloadKind {
        match self.identity.kind {
            ObjectKind::Workload(kind) => kind,
            ObjectKind::Other(_) => WorkloadKind::Pod,
        }
    }

    /// Returns the facts of a template; `None` for pods.
    pub fn template(&self) -> Option<&TemplateFacts> {
        match &self.standing {
            Standing::Template(facts) => Some(facts),
            Standing::Alone | Standing::Managed => None,
        }
    }

    /// Returns the workload as `Kind/name`.
    pub fn workload(&self) -> String {
        let Identity { kind, name, owner, .. } = &self.identity;
        owner.as_ref().map_or_else(|| format!("{}/{name}", kind.name()), ToString::to_string)
    }

    /// Returns true if a selector matches the pods. A template has the labels that its controller adds, too.
    pub fn matches(&self, selector: &LabelSelector<'_>) -> bool {
        selector.match_labels.iter().all(|(key, value)| {
            self.labels.get(key).is_some_and(|own| **own == *value) || self.adds(key, Some(value))
        }) && selector
            .match_expressions
            .iter()
            .all(|requirement| requirement.matches(&self.labels) || self.adds(&requirement.key, None))
    }

    /// Returns true if the controller of a template adds a label. Only the value of a pod's name can be checked.
    fn adds(&self, key: &str, value: Option<&str>) -> bool {
        if !matches!(self.standing, Standing::Template(_)) {
            return false;
        }
        let adds = ADDED.iter().any(|(added, kinds)| *added == key && kinds.contains(&self.kind()));
        let names_other = || {
            let (true, Some(value)) = (key == POD_NAME, value) else { return false };
            let ordinal = value.strip_prefix(&*self.identity.name).and_then(|rest| rest.strip_prefix('-'));
            !ordinal.is_some_and(|ordinal| ordinal.bytes().all(|digit| digit.is_ascii_digit()))
        };
        adds && !names_other()
    }

    /// Returns true if a controller adds the label to pods of any kind.
    pub(super) fn is_added(key: &str) -> bool {
        ADDED.iter().any(|(added, _)| *added == key)
    }
}
