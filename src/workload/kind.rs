//! The kinds that are evaluated, in one table: how the API names each one, and where it keeps its pod spec.

/// A kind that is evaluated: the pod, and every known kind with a pod template.
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
    PodTemplate,
    /// Argo Rollouts.
    Rollout,
    /// `OpenShift`.
    DeploymentConfig,
    /// Knative Serving.
    KnativeService,
    /// `OpenKruise`.
    CloneSet,
    /// The `StatefulSet` of `OpenKruise`.
    AdvancedStatefulSet,
    /// The `DaemonSet` of `OpenKruise`.
    AdvancedDaemonSet,
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkloadKinds(u16);

impl WorkloadKinds {
    /// Makes a set.
    pub fn of(kinds: impl IntoIterator<Item = WorkloadKind>) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | 1 << kind as u16))
    }

    /// Returns the kinds of both sets.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns true if the set has a kind.
    pub fn contains(self, kind: WorkloadKind) -> bool {
        self.0 & (1 << kind as u16) != 0
    }

    /// Returns true if the set has no kind.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A row of the table.
struct Row {
    kind: WorkloadKind,
    name: &'static str,
    /// The group and version that API servers prefer.
    api_version: &'static str,
    /// The groups that have the kind, former ones included; the core group has no name.
    groups: &'static [&'static str],
    pod: PodPlace,
}

/// The place of the pod spec in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PodPlace {
    /// The object is a pod.
    Spec,
    /// The object itself holds the template.
    Template,
    /// The spec holds the template.
    SpecTemplate,
    /// The spec holds a Job template, and that the pod template.
    SpecJobTemplate,
}

impl PodPlace {
    fn path(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Template => "template.spec",
            Self::SpecTemplate => "spec.template.spec",
            Self::SpecJobTemplate => "spec.jobTemplate.spec.template.spec",
        }
    }
}

/// Every kind, in the order of the enum.
static KINDS: [Row; 15] = [
    row(WorkloadKind::Pod, "Pod", "v1", &[""], PodPlace::Spec),
    row(WorkloadKind::Deployment, "Deployment", "apps/v1", &["apps", "extensions"], PodPlace::SpecTemplate),
    row(WorkloadKind::StatefulSet, "StatefulSet", "apps/v1", &["apps"], PodPlace::SpecTemplate),
    row(WorkloadKind::DaemonSet, "DaemonSet", "apps/v1", &["apps", "extensions"], PodPlace::SpecTemplate),
    row(WorkloadKind::ReplicaSet, "ReplicaSet", "apps/v1", &["apps", "extensions"], PodPlace::SpecTemplate),
    row(WorkloadKind::ReplicationController, "ReplicationController", "v1", &[""], PodPlace::SpecTemplate),
    row(WorkloadKind::Job, "Job", "batch/v1", &["batch"], PodPlace::SpecTemplate),
    row(WorkloadKind::CronJob, "CronJob", "batch/v1", &["batch"], PodPlace::SpecJobTemplate),
    row(WorkloadKind::PodTemplate, "PodTemplate", "v1", &[""], PodPlace::Template),
    row(WorkloadKind::Rollout, "Rollout", "argoproj.io/v1alpha1", &["argoproj.io"], PodPlace::SpecTemplate),
    row(
        WorkloadKind::DeploymentConfig,
        "DeploymentConfig",
        "apps.openshift.io/v1",
        &["apps.openshift.io", ""],
        PodPlace::SpecTemplate,
    ),
    row(
        WorkloadKind::KnativeService,
        "Service",
        "serving.knative.dev/v1",
        &["serving.knative.dev"],
        PodPlace::SpecTemplate,
    ),
    row(
        WorkloadKind::CloneSet,
        "CloneSet",
        "apps.kruise.io/v1alpha1",
        &["apps.kruise.io"],
        PodPlace::SpecTemplate,
    ),
    row(
        WorkloadKind::AdvancedStatefulSet,
        "StatefulSet",
        "apps.kruise.io/v1beta1",
        &["apps.kruise.io"],
        PodPlace::SpecTemplate,
    ),
    row(
        WorkloadKind::AdvancedDaemonSet,
        "DaemonSet",
        "apps.kruise.io/v1alpha1",
        &["apps.kruise.io"],
        PodPlace::SpecTemplate,
    ),
];

const fn row(
    kind: WorkloadKind,
    name: &'static str,
    api_version: &'static str,
    groups: &'static [&'static str],
    pod: PodPlace,
) -> Row {
    Row { kind, name, api_version, groups, pod }
}

impl WorkloadKind {
    /// The built-in kinds that admission evaluates: pods, and the kinds from whose template a controller makes
    /// pods.
    pub const ADMITTED: [Self; 8] = [
        Self::Pod,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::ReplicationController,
        Self::Job,
        Self::CronJob,
    ];

    /// Finds the kind that an object's `apiVersion` and `kind` name; `None` when it is not evaluated.
    ///
    /// The group and the kind decide: every version of a group is read the same way.
    pub fn find(api_version: &str, kind: &str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let named = |row: &&Row| row.name == kind && row.groups.contains(&group);
        KINDS.iter().find(named).map(|row| row.kind)
    }

    /// Returns the group and version in which the API server serves the kind.
    pub fn api_version(self) -> &'static str {
        self.row().api_version
    }

    /// Returns the kind's name in the Kubernetes API.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns the path of the pod spec in an object of this kind.
    pub fn pod_path(self) -> &'static str {
        self.row().pod.path()
    }

    /// Returns true if the status has the fields of [`super::WorkloadStatus`].
    pub(super) fn has_known_status(self) -> bool {
        matches!(self, Self::Deployment | Self::ReplicaSet | Self::Job | Self::CronJob)
    }

    pub(super) fn pod_place(self) -> PodPlace {
        self.row().pod
    }

    fn row(self) -> &'static Row {
        &KINDS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_each_of_its_groups() {
        for (index, row) in KINDS.iter().enumerate() {
            assert_eq!(row.kind as usize, index, "{} is out of order", row.name);
            assert_eq!(WorkloadKind::find(row.api_version, row.name), Some(row.kind));
            for group in row.groups {
                let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v9") };
                assert_eq!(WorkloadKind::find(&version, row.name), Some(row.kind), "{version} {}", row.name);
            }
        }
    }

    #[test]
    fn a_kind_of_another_group_is_not_evaluated() {
        for (api_version, kind) in
            [("v1", "Service"), ("example.com/v1", "Pod"), ("apps/v1", "CloneSet"), ("apps/v1", "Rollout")]
        {
            assert_eq!(WorkloadKind::find(api_version, kind), None, "{api_version} {kind}");
        }
    }
}
