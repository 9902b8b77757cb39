//! A policy reduced to its requirements and its defaults, as planning needs it. Pure.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;

use super::downtime::Allowance;
use crate::policy::{CompiledPolicy, EffectivePolicy, GitOpsMode, PolicyError};
use crate::rules::Defaults;
use crate::workload::cluster_name;

/// A policy that enforces. If several require a field, a policy of the namespace decides it before a cluster policy, then
/// the oldest policy, and among equals the first by name.
#[derive(Debug, Clone)]
pub struct EnforcingPolicy {
    /// The policy's name.
    pub name: String,
    /// The creation time. A policy that is not in a cluster yet comes last.
    pub created: Option<Timestamp>,
    /// The effective rules.
    pub effective: Arc<EffectivePolicy>,
    /// The values for containers.
    pub defaults: Defaults,
    /// The treatment of workloads that a `GitOps` tool manages.
    pub gitops: GitOpsMode,
    /// The pods that a rollout may take away.
    pub allows: Allowance,
}

impl EnforcingPolicy {
    /// Reads a policy, whatever its mode is.
    pub fn new(compiled: &CompiledPolicy) -> Result<Self, Arc<PolicyError>> {
        let policy = &compiled.policy;
        let remediation = policy.spec.remediation.clone().unwrap_or_default();
        Ok(Self {
            name: policy.metadata.name.clone().unwrap_or_default(),
            created: policy.metadata.creation_timestamp.as_ref().map(|time| time.0),
            effective: compiled.effective.clone()?,
            defaults: policy.spec.fix_defaults(),
            gitops: remediation.gitops,
            allows: Allowance::of(&remediation),
        })
    }

    /// Returns the policies that decide a patch for `policy`, in order of precedence: that policy, whatever its mode
    /// is, and the other policies of its namespace that are in force and may patch something.
    pub fn beside(policy: &CompiledPolicy, all: &[CompiledPolicy]) -> Vec<Self> {
        let uid = &policy.policy.metadata.uid;
        let may_patch = |CompiledPolicy { policy: other, .. }: &&CompiledPolicy| {
            other.is_in_force() && other.spec.remediation.as_ref().is_none_or(|it| it.max_per_hour > 0)
        };
        let others = all.iter().filter(|other| other.policy.metadata.uid != *uid).filter(may_patch);
        let mut found: Vec<Self> =
            others.chain([policy]).filter_map(|policy| Self::new(policy).ok()).collect();
        found.sort_by(Self::precedence);
        found
    }

    /// Compares two policies by precedence.
    pub fn precedence(&self, other: &Self) -> Ordering {
        let key =
            |policy: &Self| (cluster_name(&policy.name).is_some(), policy.created.is_none(), policy.created);
        key(self).cmp(&key(other)).then_with(|| self.name.cmp(&other.name))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::DevOpsPolicy;

    #[test]
    fn only_policies_in_force_decide_besides_the_rehearsed_one() {
        let policy = |name: &str, spec: Value| -> DevOpsPolicy {
            let metadata = json!({ "name": name, "uid": name, "generation": 1 });
            serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
        };
        let names = |own: &CompiledPolicy, all: &[CompiledPolicy]| -> Vec<String> {
            EnforcingPolicy::beside(own, all).into_iter().map(|policy| policy.name).collect()
        };
        let enforce = json!({ "enforcementMode": "enforce" });
        let enforces = policy("a", enforce.clone());
        let audits = policy("b", json!({ "enforcementMode": "audit" }));
        let never = json!({ "enforcementMode": "enforce", "remediation": { "maxPerHour": 0 } });
        let never = policy("c", never);
        let mut deleted = policy("d", enforce.clone());
        deleted.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let mut stopped = policy("e", enforce);
        let status = json!({ "observedGeneration": 1, "withdrawalsInARow": 3 });
        stopped.status = Some(serde_json::from_value(status).unwrap());
        let [enforces, audits, never] = [enforces, audits, never].map(CompiledPolicy::new);
        let [deleted, stopped] = [deleted, stopped].map(CompiledPolicy::new);
        let all = [enforces.clone(), audits.clone(), never.clone(), deleted, stopped];
        assert_eq!(names(&enforces, &all), ["a"]);
        assert_eq!(names(&audits, &all), ["a", "b"]);
        assert_eq!(names(&never, &all), ["a", "c"]);
    }

    #[test]
    fn policies_decide_by_creation_then_by_name_and_one_that_is_not_created_last() {
        let policy = |name: &str, seconds: Option<i64>| EnforcingPolicy {
            name: name.to_owned(),
            created: seconds.map(|seconds| Timestamp::constant(seconds, 0)),
            effective: Arc::default(),
            defaults: Defaults::default(),
            gitops: GitOpsMode::Report,
            allows: Allowance::Nothing,
        };
        let mut policies =
            [policy("a", None), policy("d", Some(2)), policy("b", Some(2)), policy("c", Some(1))];
        policies.sort_by(EnforcingPolicy::precedence);
        assert_eq!(policies.map(|policy| policy.name), ["c", "b", "d", "a"]);
        let mut scopes = [policy("cluster/base", Some(1)), policy("own", Some(2))];
        scopes.sort_by(EnforcingPolicy::precedence);
        assert_eq!(scopes.map(|policy| policy.name), ["own", "cluster/base"]);
    }
}
