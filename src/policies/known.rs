//! The policies of a cluster by namespace, each compiled once per change.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::ResourceExt as _;
use tokio::sync::watch;

use crate::cluster::{ListMark, Store};
use crate::policy::{CompiledPolicy, DevOpsPolicy, SystemNamespaces};
use crate::workload::PolicyRef;

/// The policies of a cluster, and the namespaces in which they have no effect.
pub struct Policies {
    system: SystemNamespaces,
    /// The policies by namespace and name.
    known: RwLock<Store<Box<str>, CompiledPolicy>>,
    /// True once all policies were listed.
    listed: watch::Sender<bool>,
}

impl Policies {
    /// Knows no policy yet.
    pub fn new(system: SystemNamespaces) -> Self {
        Self { system, known: RwLock::default(), listed: watch::Sender::new(false) }
    }

    /// Compiles a policy that the cluster no longer has.
    pub fn compile_deleted(policy: DevOpsPolicy) -> CompiledPolicy {
        CompiledPolicy::new(Arc::new(policy))
    }

    /// Sets a policy as it is now, and compiles it if its spec changed. Returns it as it was before.
    pub fn apply(&self, mut policy: DevOpsPolicy) -> Option<CompiledPolicy> {
        // They are larger than all the rest, and nobody reads them.
        policy.metadata.managed_fields = None;
        policy.metadata.annotations = None;
        let (namespace, name) = (policy.namespace().unwrap_or_default(), policy.name_any());
        let policy = Arc::new(policy);
        let mut known = self.write();
        let before = known.get(&namespace, &*name).cloned();
        let next = match &before {
            Some(before) if before.policy.spec == policy.spec => {
                CompiledPolicy { policy, effective: before.effective.clone() }
            }
            _ => CompiledPolicy::new(policy),
        };
        known.insert(&namespace, name.into(), next);
        before
    }

    /// Removes a policy.
    pub fn remove(&self, policy: &PolicyRef) {
        self.write().remove(&policy.namespace, &*policy.name);
    }

    /// Begins a list of all policies. What was known stays until [`Policies::end_list`].
    pub fn begin_list(&self) -> ListMark {
        self.write().begin_list()
    }

    /// Ends a list of all policies: removes those that were not seen since `begun`.
    pub fn end_list(&self, begun: ListMark) {
        self.end_list_within(begun, None);
        self.set_listed();
    }

    /// Ends a list in one namespace, or in all: removes the policies there that were not seen since `begun`.
    pub(super) fn end_list_within(&self, begun: ListMark, within: Option<&str>) {
        self.write().end_list(begun, within, |_, _| true);
    }

    /// Records that all policies were listed.
    pub(super) fn set_listed(&self) {
        self.listed.send_replace(true);
    }

    /// Waits until all policies were listed once.
    pub async fn wait_until_listed(&self) {
        // It fails only when the sender is dropped, which this borrows.
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
    }

    /// Returns true if all policies were listed once.
    pub fn is_listed(&self) -> bool {
        *self.listed.borrow()
    }

    /// Returns a policy.
    pub fn get(&self, policy: &PolicyRef) -> Option<CompiledPolicy> {
        self.read().get(&policy.namespace, &*policy.name).cloned()
    }

    /// Returns every policy.
    pub fn all(&self) -> Vec<CompiledPolicy> {
        self.read().iter().map(|(_, _, policy)| policy.clone()).collect()
    }

    /// Returns the policies of a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<CompiledPolicy> {
        self.read().group(namespace).map(|(_, policy)| policy.clone()).collect()
    }

    /// Returns true if policies have no effect in a namespace.
    pub fn is_system(&self, namespace: &str) -> bool {
        self.system.contains(namespace)
    }

    /// Returns true if a policy is in force, in a namespace where policies have an effect.
    pub fn enforces(&self, policy: &DevOpsPolicy) -> bool {
        policy.is_in_force() && !self.is_system(&policy.namespace().unwrap_or_default())
    }

    fn read(&self) -> RwLockReadGuard<'_, Store<Box<str>, CompiledPolicy>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Store<Box<str>, CompiledPolicy>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::EffectivePolicy;
    use crate::rules::HIGH_RESTARTS;

    fn policies() -> Policies {
        Policies::new(SystemNamespaces::default())
    }

    fn policy(name: &str, restarts: u32) -> DevOpsPolicy {
        let metadata = json!({
            "name": name, "namespace": "shop", "uid": name, "annotations": { "a": "b" },
            "managedFields": [{ "manager": "kubectl", "operation": "Apply", "fieldsV1": { "f:spec": {} } }],
        });
        serde_json::from_value(json!({ "metadata": metadata, "spec": { "maxRestartCount": restarts } }))
            .unwrap()
    }

    fn rules(policies: &Policies, name: &str) -> Arc<EffectivePolicy> {
        policies.get(&PolicyRef::new("shop", name)).unwrap().effective.unwrap()
    }

    fn limit(policies: &Policies, name: &str) -> u64 {
        rules(policies, name).get(HIGH_RESTARTS.id).unwrap().parameters.integer("maxRestartCount")
    }

    #[test]
    fn only_a_policy_whose_spec_changed_is_compiled() {
        let policies = policies();
        assert!(policies.apply(policy("a", 1)).is_none() && policies.apply(policy("b", 2)).is_none());
        let [a, b] = ["a", "b"].map(|name| rules(&policies, name));
        let mut written = policy("a", 1);
        written.status = Some(serde_json::from_value(json!({ "healthScore": 7 })).unwrap());
        written.metadata.resource_version = Some("2".to_owned());
        assert!(policies.apply(written).unwrap().policy.status.is_none(), "it returns the former one");
        assert!(Arc::ptr_eq(&a, &rules(&policies, "a")), "a new status compiles nothing");
        policies.apply(policy("a", 3));
        assert_eq!(limit(&policies, "a"), 3);
        assert!(Arc::ptr_eq(&b, &rules(&policies, "b")), "a change of one policy compiles no other");
        let begun = policies.begin_list();
        policies.apply(policy("b", 2));
        policies.end_list(begun);
        assert!(Arc::ptr_eq(&b, &rules(&policies, "b")), "a list compiles nothing that is known");
        assert!(policies.get(&PolicyRef::new("shop", "a")).is_none(), "it was not listed");
    }

    #[test]
    fn an_invalid_policy_is_kept_with_its_error_until_it_changes() {
        let policies = policies();
        let mut invalid = policy("a", 1);
        invalid.spec.rules = serde_json::from_value(json!([{ "id": "nope" }])).unwrap();
        policies.apply(invalid);
        let kept = policies.in_namespace("shop").remove(0);
        assert!(kept.effective.unwrap_err().to_string().starts_with("spec.rules[0].id"));
        policies.apply(policy("a", 5));
        assert_eq!(limit(&policies, "a"), 5);
    }

    #[test]
    fn policies_are_found_by_namespace_and_kept_lean() {
        let policies = policies();
        policies.apply(policy("a", 1));
        let mut elsewhere = policy("a", 2);
        elsewhere.metadata.namespace = Some("bank".to_owned());
        policies.apply(elsewhere);
        assert_eq!((policies.all().len(), policies.in_namespace("shop").len()), (2, 1));
        let metadata = policies.in_namespace("shop").remove(0).policy.metadata.clone();
        assert_eq!((metadata.managed_fields, metadata.annotations), (None, None));
        policies.remove(&PolicyRef::new("shop", "a"));
        assert_eq!((policies.all().len(), policies.in_namespace("shop").len()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_resume_after_the_first_list() {
        let policies = policies();
        let begun = policies.begin_list();
        tokio::join!(policies.wait_until_listed(), async { policies.end_list(begun) });
        policies.wait_until_listed().await;
    }
}
