//! The one thing that rules judge: a pod, or the template of pods to come.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Labels, Metadata, Owner, PodSpec, PodStatus};

/// The label that ties a Deployment's pods to one of its `ReplicaSet`s.
const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// The kinds that are judged: the pod, and every built-in kind with a pod template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the variants are the names of the kinds")]
pub enum WorkloadKind {
    Pod,
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    ReplicationController,
    Job,
    CronJob,
}

impl WorkloadKind {
    /// Finds the kind that an object's `apiVersion` and `kind` name; `None` when it isn't judged.
    pub fn find(api_version: &str, kind: &str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        match (group, kind) {
            ("", "Pod") => Some(Self::Pod),
            ("", "ReplicationController") => Some(Self::ReplicationController),
            ("apps" | "extensions", "Deployment") => Some(Self::Deployment),
            ("apps" | "extensions", "DaemonSet") => Some(Self::DaemonSet),
            ("apps" | "extensions", "ReplicaSet") => Some(Self::ReplicaSet),
            ("apps", "StatefulSet") => Some(Self::StatefulSet),
            ("batch", "Job") => Some(Self::Job),
            ("batch", "CronJob") => Some(Self::CronJob),
            _ => None,
        }
    }

    /// The group and version in which the API server has the kind.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Pod | Self::ReplicationController => "v1",
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::ReplicaSet => "apps/v1",
            Self::Job | Self::CronJob => "batch/v1",
        }
    }

    /// The kind's name in the Kubernetes API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }
}

/// A pod, or a workload's pod template seen as the one pod that it describes.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload<'a> {
    /// What the object is.
    pub kind: WorkloadKind,
    /// The object's metadata.
    pub metadata: Metadata<'a>,
    /// The labels of the template, where there is one.
    pub template_labels: Option<Labels<'a>>,
    /// The pod's spec. Pods of one template can share it.
    pub pod: Arc<PodSpec<'a>>,
    /// The pod's status; a template has none.
    pub status: Option<PodStatus<'a>>,
}

impl Workload<'_> {
    /// The object's name, or the prefix that its name will begin with.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().or(self.metadata.generate_name.as_deref()).unwrap_or_default()
    }

    /// Drops the labels that only selectors read, when all selecting is done.
    pub fn forget_labels(&mut self) {
        self.template_labels = None;
        if let Some(labels) = &mut self.metadata.labels {
            labels.retain(|key, _| key == POD_TEMPLATE_HASH);
        }
    }

    /// Tells a pod from a template.
    pub fn is_pod(&self) -> bool {
        self.kind == WorkloadKind::Pod
    }

    /// Tells whether another judged object stands for this one: a `ReplicaSet` or Job that a controller manages.
    pub fn is_managed(&self) -> bool {
        matches!(self.kind, WorkloadKind::ReplicaSet | WorkloadKind::Job)
            && self.metadata.controller().is_some()
    }

    /// Tells whether the pod is meant to end by itself, as those of Jobs are.
    pub fn runs_to_completion(&self) -> bool {
        match self.kind {
            WorkloadKind::Job | WorkloadKind::CronJob => true,
            WorkloadKind::Pod => self.metadata.controller().is_some_and(|owner| &*owner.kind == "Job"),
            _ => false,
        }
    }

    /// Tells whether the pod has ended for good, so that there is nothing left to judge.
    pub fn is_terminal(&self) -> bool {
        self.status.as_ref().is_some_and(PodStatus::is_terminal)
    }

    /// The labels of the pod, or of the pods to come.
    pub fn labels(&self) -> Option<&Labels<'_>> {
        if self.is_pod() { self.metadata.labels.as_ref() } else { self.template_labels.as_ref() }
    }

    /// The path of the pod's spec in the object.
    pub fn pod_path(&self) -> &'static str {
        match self.kind {
            WorkloadKind::Pod => "spec",
            WorkloadKind::CronJob => "spec.jobTemplate.spec.template.spec",
            _ => "spec.template.spec",
        }
    }

    /// The workload that a user edits to change this pod: the object itself, or what manages it.
    pub fn owner(&self) -> Owner<'_> {
        let itself = Owner { kind: self.kind.name(), name: self.name() };
        let (true, Some(controller)) = (self.is_pod(), self.metadata.controller()) else { return itself };
        let above = match &*controller.kind {
            "ReplicaSet" => self
                .metadata
                .label(POD_TEMPLATE_HASH)
                .and_then(|hash| controller.name.strip_suffix(hash)?.strip_suffix('-'))
                .map(|name| Owner { kind: "Deployment", name }),
            "Job" => cron_job_of(&controller.name, self.metadata.creation_timestamp)
                .map(|name| Owner { kind: "CronJob", name }),
            _ => None,
        };
        above.unwrap_or(Owner { kind: &controller.kind, name: &controller.name })
    }
}

/// How far a Job's pods may be from the time that it was scheduled for.
const NEAR: SignedDuration = SignedDuration::from_hours(24);

/// The name of the `CronJob` that made a Job of this name, one of whose pods was `created` then; `None` when none did.
///
/// The [controller](https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/cronjob/utils.go) appends
/// the scheduled time in minutes since 1970. Any other number, such as the date 25122026, is far from the pod's time.
fn cron_job_of(job: &str, created: Option<Timestamp>) -> Option<&str> {
    let (name, minutes) = job.rsplit_once('-')?;
    let scheduled = Timestamp::from_second(i64::from(minutes.parse::<u32>().ok()?) * 60).ok()?;
    (created?.duration_since(scheduled).abs() <= NEAR).then_some(name)
}

#[cfg(test)]
mod tests {
    use crate::workload::{Object, Parsed};

    fn owner_of(json: &str) -> String {
        let object: Object<'_> = serde_json::from_str(json).unwrap();
        let Parsed::Workload(workload) = object.parsed else { panic!("not judged") };
        workload.owner().to_string()
    }

    fn pod_owned_by(kind: &str, name: &str, labels: &str) -> String {
        owner_of(&format!(
            r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p","labels":{labels},
            "ownerReferences":[{{"kind":"{kind}","name":"{name}","controller":true}}]}}}}"#
        ))
    }

    #[test]
    fn a_pod_of_a_deployment_is_named_by_it() {
        assert_eq!(pod_owned_by("ReplicaSet", "web-7f9", r#"{"pod-template-hash":"7f9"}"#), "Deployment/web");
    }

    #[test]
    fn a_pod_of_a_bare_replica_set_is_named_by_that() {
        assert_eq!(pod_owned_by("ReplicaSet", "web-7f9", "{}"), "ReplicaSet/web-7f9");
        assert_eq!(pod_owned_by("ReplicaSet", "web", r#"{"pod-template-hash":"7f9"}"#), "ReplicaSet/web");
    }

    #[test]
    fn a_job_is_named_by_its_cron_job_only_where_its_number_is_about_the_time_of_the_pod() {
        let owner_at = |job: &str, created: &str| {
            owner_of(&format!(
                r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p",{created}
                "ownerReferences":[{{"kind":"Job","name":"{job}","controller":true}}]}}}}"#
            ))
        };
        // 29712345 minutes after 1970.
        for created in ["2026-06-29T13:45:03Z", "2026-06-29T13:44:59Z", "2026-06-30T13:45:00Z"] {
            let created = format!(r#""creationTimestamp":"{created}","#);
            assert_eq!(owner_at("backup-29712345", &created), "CronJob/backup", "{created}");
            assert_eq!(owner_at("import-25122026", &created), "Job/import-25122026");
            assert_eq!(owner_at("import-20260629", &created), "Job/import-20260629");
            assert_eq!(owner_at("migrate", &created), "Job/migrate");
        }
        let late = r#""creationTimestamp":"2026-06-30T13:45:01Z","#;
        assert_eq!(owner_at("backup-29712345", late), "Job/backup-29712345");
        assert_eq!(owner_at("backup-29712345", ""), "Job/backup-29712345", "nobody knows when it ran");
    }

    #[test]
    fn a_pod_without_an_owner_is_named_by_itself() {
        assert_eq!(owner_of(r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}}"#), "Pod/p");
    }
}
