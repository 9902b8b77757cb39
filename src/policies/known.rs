//! The policies of a cluster by namespace, each compiled once per change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use tokio::sync::watch;

use super::cluster_policy::{ClusterPolicy, SelectableNamespace};
use crate::cluster::{ListMark, Store};
use crate::policy::{ClusterDevOpsPolicy, CompiledPolicy, DevOpsPolicy, SystemNamespaces};
use crate::workload::{PolicyRef, cluster_name};

/// The policies of a cluster, and the namespaces in which they have no effect.
///
/// A cluster policy is among the policies of each namespace that it selects, under the name `cluster/<name>`.
pub struct Policies {
    system: SystemNamespaces,
    known: RwLock<Known>,
    /// True once all policies were listed.
    listed: watch::Sender<bool>,
}

#[derive(Default)]
struct Known {
    /// The policies by namespace and name.
    policies: Store<Box<str>, CompiledPolicy>,
    /// The cluster policies by name.
    cluster: BTreeMap<String, ClusterPolicy>,
    /// The Namespaces that are no system namespaces.
    namespaces: BTreeMap<String, SelectableNamespace>,
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
        let before = known.policies.get(&namespace, &*name).cloned();
        let next = match &before {
            Some(before) if before.policy.spec == policy.spec => {
                CompiledPolicy { policy, effective: before.effective.clone() }
            }
            _ => CompiledPolicy::new(policy),
        };
        known.policies.insert(&namespace, name.into(), next);
        before
    }

    /// Removes a policy.
    pub fn remove(&self, policy: &PolicyRef) {
        self.write().policies.remove(&policy.namespace, &*policy.name);
    }

    /// Sets a cluster policy as it is now. Returns the namespaces in which it is in effect, or was before.
    pub fn apply_cluster(&self, policy: ClusterDevOpsPolicy) -> BTreeSet<String> {
        let name = policy.name_any();
        let mut known = self.write();
        let before = known.cluster.remove(&name);
        let mut next = ClusterPolicy::new(policy, before.as_ref());
        let selected = known.namespaces.iter().filter(|(_, metadata)| next.selects(metadata));
        next.namespaces = selected.map(|(namespace, _)| namespace.clone()).collect();
        let mut concerned = before.map(|before| before.namespaces).unwrap_or_default();
        for namespace in concerned.difference(&next.namespaces) {
            known.remove_within(namespace, &next);
        }
        for namespace in &next.namespaces {
            known.insert_within(namespace, &next);
        }
        concerned.extend(next.namespaces.iter().cloned());
        known.cluster.insert(name, next);
        concerned
    }

    /// Removes a cluster policy. Returns the namespaces in which it was in effect.
    pub fn remove_cluster(&self, name: &str) -> BTreeSet<String> {
        let mut known = self.write();
        let Some(before) = known.cluster.remove(name) else { return BTreeSet::new() };
        for namespace in &before.namespaces {
            known.remove_within(namespace, &before);
        }
        before.namespaces
    }

    /// Takes the labels and the annotations of a Namespace; `None` for one that is gone. Returns the cluster policies that
    /// begin or cease to be in effect there, or to be kept from patches.
    pub fn apply_namespace(&self, namespace: &str, metadata: Option<&ObjectMeta>) -> Vec<PolicyRef> {
        if self.system.contains(namespace) {
            return Vec::new();
        }
        let next = metadata.map(SelectableNamespace::of);
        let mut known = self.write();
        let before = match &next {
            Some(next) => known.namespaces.insert(namespace.to_owned(), next.clone()),
            None => known.namespaces.remove(namespace),
        };
        if before == next {
            return Vec::new();
        }
        let is_kept_as_before =
            before.map(|before| before.keeps_to_audit) == next.as_ref().map(|next| next.keeps_to_audit);
        let mut cluster = std::mem::take(&mut known.cluster);
        let mut changed = Vec::new();
        for policy in cluster.values_mut() {
            let was_selected = policy.namespaces.contains(namespace);
            if next.as_ref().is_some_and(|next| policy.selects(next)) {
                if was_selected && is_kept_as_before {
                    continue;
                }
                policy.namespaces.insert(namespace.to_owned());
                known.insert_within(namespace, policy);
            } else if was_selected {
                policy.namespaces.remove(namespace);
                known.remove_within(namespace, policy);
            } else {
                continue;
            }
            changed.push(policy.policy.reference());
        }
        known.cluster = cluster;
        changed
    }

    /// Removes all Namespaces but these.
    pub fn retain_namespaces(&self, there: &BTreeSet<String>) {
        let known: Vec<String> = self.read().namespaces.keys().cloned().collect();
        for gone in known.iter().filter(|name| !there.contains(*name)) {
            self.apply_namespace(gone, None);
        }
    }

    /// Returns a cluster policy.
    pub fn cluster(&self, name: &str) -> Option<ClusterPolicy> {
        self.read().cluster.get(name).cloned()
    }

    /// Returns the names of the cluster policies.
    pub fn cluster_names(&self) -> Vec<String> {
        self.read().cluster.keys().cloned().collect()
    }

    /// Begins a list of all policies. What was known stays until [`Policies::end_list`].
    pub fn begin_list(&self) -> ListMark {
        self.write().policies.begin_list()
    }

    /// Ends a list of all policies: removes those that were not seen since `begun`.
    pub fn end_list(&self, begun: ListMark) {
        self.end_list_within(begun, None);
        self.set_listed();
    }

    /// Ends a list in one namespace, or in all: removes the policies there that were not seen since `begun`.
    pub(super) fn end_list_within(&self, begun: ListMark, within: Option<&str>) {
        self.write().policies.end_list(begun, within, |name, _| cluster_name(name).is_none());
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

    /// Returns a policy, or a cluster policy in one of its namespaces.
    pub fn get(&self, policy: &PolicyRef) -> Option<CompiledPolicy> {
        self.read().policies.get(&policy.namespace, &*policy.name).cloned()
    }

    /// Returns every policy, and each cluster policy in each namespace that it selects or has records of patches in.
    pub fn all(&self) -> Vec<CompiledPolicy> {
        let known = self.read();
        let former = known.cluster.values().flat_map(ClusterPolicy::former);
        known.policies.iter().map(|(_, _, policy)| policy.clone()).chain(former).collect()
    }

    /// Returns the policies that are in effect in a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<CompiledPolicy> {
        self.read().policies.group(namespace).map(|(_, policy)| policy.clone()).collect()
    }

    /// Returns true if policies have no effect in a namespace.
    pub fn is_system(&self, namespace: &str) -> bool {
        self.system.contains(namespace)
    }

    /// Returns true if a policy is in force, in a namespace where policies have an effect.
    pub fn enforces(&self, policy: &DevOpsPolicy) -> bool {
        policy.is_in_force() && !self.is_system(&policy.namespace().unwrap_or_default())
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn insert_within(&mut self, namespace: &str, policy: &ClusterPolicy) {
        let name = policy.policy.reference().name;
        let keeps_to_audit = self.namespaces.get(namespace).is_some_and(|known| known.keeps_to_audit);
        self.policies.insert(namespace, name.into(), policy.within(namespace, keeps_to_audit));
    }

    fn remove_within(&mut self, namespace: &str, policy: &ClusterPolicy) {
        self.policies.remove(namespace, &*policy.policy.reference().name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::{ENFORCEMENT_ANNOTATION, EffectivePolicy, EnforcementMode};
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

    fn labels(team: &str) -> ObjectMeta {
        serde_json::from_value(json!({ "labels": { "team": team } })).unwrap()
    }

    fn cluster_policy(restarts: u32) -> ClusterDevOpsPolicy {
        let selector =
            json!({ "matchExpressions": [{ "key": "team", "operator": "In", "values": ["a", "b"] }] });
        let spec = json!({ "namespaceSelector": selector, "maxRestartCount": restarts });
        serde_json::from_value(json!({ "metadata": { "name": "base", "uid": "base" }, "spec": spec }))
            .unwrap()
    }

    fn in_effect(policies: &Policies, namespace: &str) -> Vec<String> {
        let mut names: Vec<_> =
            policies.in_namespace(namespace).iter().map(|known| known.policy.name_any()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_cluster_policy_is_among_the_policies_of_the_namespaces_that_it_selects() {
        let policies = policies();
        policies.apply(policy("own", 1));
        assert!(policies.apply_namespace("shop", Some(&labels("a"))).is_empty());
        policies.apply_namespace("bank", Some(&labels("c")));
        policies.apply_namespace("kube-system", Some(&labels("a")));
        let concerned = policies.apply_cluster(cluster_policy(5));
        assert_eq!(concerned, BTreeSet::from(["shop".to_owned()]));
        assert_eq!(in_effect(&policies, "shop"), ["cluster/base", "own"]);
        let base = PolicyRef::new("shop", "cluster/base");
        let within = policies.get(&base).unwrap();
        assert_eq!((within.policy.reference(), base.to_string()), (base, "shop/cluster/base".to_owned()));
        let whole = policies.cluster("base").unwrap();
        assert!(Arc::ptr_eq(within.effective.as_ref().unwrap(), whole.compiled.effective.as_ref().unwrap()));
        let begun = policies.begin_list();
        policies.end_list(begun);
        assert_eq!(in_effect(&policies, "shop"), ["cluster/base"], "lists of the other kind leave it alone");
        assert_eq!(policies.remove_cluster("base"), BTreeSet::from(["shop".to_owned()]));
        assert!(policies.all().is_empty());
    }

    #[test]
    fn a_change_of_the_labels_of_a_namespace_changes_its_policies() {
        let policies = policies();
        policies.apply_cluster(cluster_policy(5));
        let base = [PolicyRef::cluster("base")];
        assert_eq!(policies.apply_namespace("shop", Some(&labels("b"))), base);
        assert!(policies.apply_namespace("shop", Some(&labels("a"))).is_empty(), "it stays selected");
        assert_eq!(in_effect(&policies, "shop"), ["cluster/base"]);
        assert_eq!(policies.apply_namespace("shop", Some(&labels("c"))), base);
        assert!(in_effect(&policies, "shop").is_empty());
        policies.apply_namespace("shop", Some(&labels("a")));
        assert_eq!(policies.apply_namespace("shop", None), base);
        assert!(policies.all().is_empty());
    }

    #[test]
    fn an_annotation_of_the_namespace_keeps_a_cluster_policy_from_patches() {
        let policies = policies();
        let mut enforces = cluster_policy(5);
        enforces.spec.policy.enforcement_mode = EnforcementMode::Enforce;
        policies.apply_namespace("shop", Some(&labels("a")));
        policies.apply_cluster(enforces);
        let is_in_force = || policies.enforces(&policies.in_namespace("shop").remove(0).policy);
        assert!(is_in_force());
        let mut kept = labels("a");
        kept.annotations = Some([(ENFORCEMENT_ANNOTATION.to_owned(), "audit".to_owned())].into());
        assert_eq!(policies.apply_namespace("shop", Some(&kept)), [PolicyRef::cluster("base")]);
        assert!(!is_in_force());
        policies.apply_namespace("shop", Some(&labels("b")));
        assert!(is_in_force());
    }

    #[test]
    fn patches_in_a_namespace_that_is_no_longer_selected_stay_known() {
        let policies = policies();
        let mut patched = cluster_policy(5);
        let record = json!({ "namespace": "old", "kind": "Deployment", "name": "web", "phase": "Verified" });
        patched.status = Some(serde_json::from_value(json!({ "remediations": [record] })).unwrap());
        policies.apply_cluster(patched);
        let all = policies.all();
        assert_eq!(all[0].policy.reference().to_string(), "old/cluster/base");
        assert!(all.len() == 1 && policies.in_namespace("old").is_empty());
    }
}
