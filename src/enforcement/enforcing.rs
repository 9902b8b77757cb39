//! A policy as far as planning needs it: what it asks for, and what it gives. Pure.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::policy::{DevOpsPolicy, EffectivePolicy, GitOpsMode, PolicyError};
use crate::rules::Defaults;

/// A policy that enforces. Of several, the first by creation, then by name, decides a field.
#[derive(Debug, Clone)]
pub struct Enforcing {
    /// The policy's name.
    pub name: String,
    /// When it was created; a policy that isn't in a cluster yet comes after all that are.
    pub created: Option<Timestamp>,
    /// The rules that count.
    pub effective: EffectivePolicy,
    /// What containers are given.
    pub defaults: Defaults,
    /// What is done about workloads that a `GitOps` tool manages.
    pub gitops: GitOpsMode,
}

impl Enforcing {
    /// Works out what a policy comes down to, whatever its mode is.
    pub fn new(policy: &DevOpsPolicy) -> Result<Self, PolicyError> {
        Ok(Self {
            name: policy.metadata.name.clone().unwrap_or_default(),
            created: policy.metadata.creation_timestamp.as_ref().map(|time| time.0),
            effective: EffectivePolicy::from_spec(&policy.spec)?,
            defaults: policy.spec.fix_defaults(),
            gitops: policy.spec.remediation.clone().unwrap_or_default().gitops,
        })
    }

    /// Sorts policies into the order in which they decide.
    pub fn sort(policies: &mut [Self]) {
        policies.sort_by(Self::precedence);
    }

    /// Compares two policies by the order in which they decide.
    pub fn precedence(&self, other: &Self) -> Ordering {
        let key = |policy: &Self| (policy.created.is_none(), policy.created);
        key(self).cmp(&key(other)).then_with(|| self.name.cmp(&other.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_decide_by_creation_then_by_name_and_one_that_is_not_created_last() {
        let policy = |name: &str, seconds: Option<i64>| Enforcing {
            name: name.to_owned(),
            created: seconds.map(|seconds| Timestamp::constant(seconds, 0)),
            effective: EffectivePolicy::default(),
            defaults: Defaults::default(),
            gitops: GitOpsMode::Report,
        };
        let mut policies =
            [policy("a", None), policy("d", Some(2)), policy("b", Some(2)), policy("c", Some(1))];
        Enforcing::sort(&mut policies);
        assert_eq!(policies.map(|policy| policy.name), ["c", "b", "d", "a"]);
    }
}
