//! The workloads of a namespace that a policy would patch, in order. Pure.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;

use crate::enforcement::{Compute, ContainerField, Field, KINDS};
use crate::governance::{AnnotatedExemptions, evaluate};
use crate::policy::EffectivePolicy;
use crate::rules;
use crate::workload::{Owner, Workload, WorkloadKind};

/// A workload with a fixable violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) kind: WorkloadKind,
    pub(super) name: String,
    /// The number of its pods.
    pub(super) pods: usize,
    /// A digest of the fields that rules read, to detect changes.
    pub(super) seen: u64,
}

impl Candidate {
    /// Returns the workload without its namespace.
    pub(super) fn local(&self) -> Owner<'_> {
        Owner { kind: self.kind.name(), name: &self.name }
    }
}

impl Candidate {
    /// Adds the time of the last request for another attempt to the digest.
    pub(super) fn retried(&mut self, at: Option<Timestamp>) {
        if at.is_some() {
            let mut hasher = DefaultHasher::new();
            (self.seen, at).hash(&mut hasher);
            self.seen = hasher.finish();
        }
    }
}

/// Returns the workloads that a policy would fix: the fewest pods first, and single pods last.
///
/// The watches provide only this much of [`RolloutOrder`](crate::enforcement::RolloutOrder).
pub(super) fn candidates(
    objects: &[&Workload<'static>],
    policy: &EffectivePolicy,
    exemptions: &AnnotatedExemptions,
    now: Timestamp,
) -> Vec<Candidate> {
    let mut pods: HashMap<(&str, &str), usize> = HashMap::new();
    for pod in objects.iter().filter(|object| object.is_pod() && !object.is_terminal()) {
        let owner = pod.owner();
        *pods.entry((owner.kind, owner.name)).or_default() += 1;
    }
    let mut found: Vec<Candidate> = objects
        .iter()
        .filter(|object| KINDS.contains(&object.kind) && object.metadata.controller().is_none())
        .filter(|object| breaks_what_can_be_mended(object, policy, exemptions, now))
        .map(|object| Candidate {
            kind: object.kind,
            name: object.name().to_owned(),
            pods: pods.get(&(object.kind.name(), object.name())).copied().unwrap_or_default(),
            seen: digest(object),
        })
        .collect();
    found.sort_by(|a, b| (a.pods < 2, a.pods, a.kind, &a.name).cmp(&(b.pods < 2, b.pods, b.kind, &b.name)));
    found
}

/// Returns true if a workload has a violation with a fix. `exemptions` has those of its Namespace.
pub(super) fn breaks_what_can_be_mended(
    workload: &Workload<'_>,
    policy: &EffectivePolicy,
    exemptions: &AnnotatedExemptions,
    now: Timestamp,
) -> bool {
    let namespace = workload.metadata.namespace.as_deref().unwrap_or_default();
    let left = exemptions.left_for(namespace, workload, policy, now);
    let violations = evaluate(left.as_ref().unwrap_or(policy), workload, now, true).violations;
    violations.iter().any(|found| rules::fix_of(found.rule).is_some())
}

/// Returns true if a workload's containers have all of these fields, as far as rules read them.
pub(super) fn has_all(workload: &Workload<'_>, fields: &BTreeSet<ContainerField>) -> bool {
    fields.iter().all(|of| {
        let container = workload.pod.containers.iter().find(|container| *container.name == *of.container);
        container.is_some_and(|container| {
            let resources = container.resources.unwrap_or_default();
            match of.field {
                Field::LivenessProbe => container.liveness_probe.is_some(),
                Field::ReadinessProbe => container.readiness_probe.is_some(),
                // No rule requires it; it is set with the liveness probe.
                Field::StartupProbe => true,
                Field::Request(Compute::Cpu) => resources.cpu_request().is_some(),
                Field::Request(Compute::Memory) => resources.memory_request().is_some(),
                Field::Limit(Compute::Cpu) => resources.cpu_limit().is_some(),
                Field::Limit(Compute::Memory) => resources.memory_limit().is_some(),
            }
        })
    })
}

fn digest(workload: &Workload<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?}", workload.pod).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::DevOpsPolicySpec;
    use crate::workload::{EXEMPT, EXEMPT_REASON};

    fn object(kind: WorkloadKind, name: &str, owner: Option<&str>, probe: bool) -> Workload<'static> {
        let probe = probe.then(|| json!({}));
        let spec = json!({ "containers": [{ "name": "main", "image": "x", "livenessProbe": probe }] });
        let spec = if kind == WorkloadKind::Pod { spec } else { json!({ "template": { "spec": spec } }) };
        let owners = owner.map(|name| json!([{ "kind": "StatefulSet", "name": name, "controller": true }]));
        let metadata = json!({ "name": name, "namespace": "n", "ownerReferences": owners });
        Workload::from_json_owned(kind, &json!({ "metadata": metadata, "spec": spec }).to_string()).unwrap()
    }

    #[test]
    fn single_pods_come_last_and_only_workloads_with_a_fix_come() {
        use WorkloadKind::{DaemonSet, Deployment, Job, Pod, StatefulSet};
        let objects = [
            object(StatefulSet, "big", None, false),
            object(Pod, "big-0", Some("big"), false),
            object(Pod, "big-1", Some("big"), false),
            object(StatefulSet, "small", None, false),
            object(Pod, "small-0", Some("small"), false),
            object(StatefulSet, "bigger", None, false),
            object(Pod, "bigger-0", Some("bigger"), false),
            object(Pod, "bigger-1", Some("bigger"), false),
            object(Pod, "bigger-2", Some("bigger"), false),
            object(DaemonSet, "none", None, false),
            object(Deployment, "probed", None, true),
            object(Deployment, "owned", Some("parent"), false),
            object(Job, "job", None, false),
        ];
        let spec: DevOpsPolicySpec =
            yaml_serde::from_str("{forbidLatestTag: true, requireLivenessProbe: true}").unwrap();
        let policy = EffectivePolicy::from_spec(&spec).unwrap();
        let objects: Vec<&Workload<'static>> = objects.iter().collect();
        let none = AnnotatedExemptions::default();
        let found = candidates(&objects, &policy, &none, Timestamp::UNIX_EPOCH);
        let names: Vec<_> = found.iter().map(|found| (found.name.as_str(), found.pods)).collect();
        assert_eq!(names, [("big", 2), ("bigger", 3), ("none", 0), ("small", 1)]);
        let tags: DevOpsPolicySpec = yaml_serde::from_str("{forbidLatestTag: true}").unwrap();
        let tags = EffectivePolicy::from_spec(&tags).unwrap();
        assert!(candidates(&objects, &tags, &none, Timestamp::UNIX_EPOCH).is_empty(), "it has no fix");
        let mut exempt = AnnotatedExemptions::default();
        exempt.add_namespace("n", |key| match key {
            EXEMPT => Some("missing-liveness"),
            EXEMPT_REASON => Some("moves in spring"),
            _ => None,
        });
        assert!(candidates(&objects, &policy, &exempt, Timestamp::UNIX_EPOCH).is_empty(), "all are exempt");
    }

    #[test]
    fn fields_count_no_matter_who_set_them() {
        let fields =
            |fields: &[Field]| fields.iter().map(|field| ContainerField::new("main", *field)).collect();
        let probed = object(WorkloadKind::Deployment, "web", None, true);
        assert!(has_all(&probed, &fields(&[Field::LivenessProbe, Field::StartupProbe])));
        assert!(!has_all(&probed, &fields(&[Field::LivenessProbe, Field::ReadinessProbe])));
        assert!(!has_all(&probed, &fields(&[Field::Limit(Compute::Memory)])));
        assert!(!has_all(&probed, &BTreeSet::from([ContainerField::new("gone", Field::StartupProbe)])));
    }
}
