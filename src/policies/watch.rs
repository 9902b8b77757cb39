//! The watch that keeps the policies up to date, and reports each change.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{OptionFuture, join, join_all};
use kube::ResourceExt as _;
use kube::api::ApiResource;
use kube::core::PartialObjectMeta;

use super::Policies;
use super::change::PolicyChange;
use super::cluster_watch::follow_cluster;
use crate::cluster::{self, Cluster, ListMark, RawObject, Sink, WatchRequest};
use crate::policy::{CompiledPolicy, DevOpsPolicy, DevOpsPolicySpec};
use crate::workload::PolicyRef;

/// Follows the policies in some namespaces, or in all and the cluster policies if none are given, for ever. Reports each
/// change; `ready` is dropped once all were listed.
///
/// The caller tells [`Policies::apply_namespace`] the labels of Namespaces.
pub async fn follow<R>(
    policies: &Policies,
    cluster: &Cluster,
    namespaces: &[String],
    ready: R,
    report: impl FnMut(PolicyChange<'_>) + Send,
) {
    let scopes: Vec<_> =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() };
    let follows_cluster = namespaces.is_empty();
    let (unlisted, report) =
        (AtomicUsize::new(scopes.len() + usize::from(follows_cluster)), Mutex::new(report));
    let ready = Arc::new(ready);
    let watches: Vec<_> = scopes
        .into_iter()
        .map(|within| {
            let resource = ApiResource::erase::<DevOpsPolicy>(&());
            let namespace = within.clone();
            let request = WatchRequest { resource, namespace, selector: None, metadata_only: false };
            let report = |change: PolicyChange<'_>| {
                let mut report = lock(&report);
                report(change);
            };
            let sink = PolicySink {
                policies,
                report,
                within,
                unlisted: &unlisted,
                is_listed: false,
                begun: ListMark::default(),
            };
            cluster::follow(cluster, request, sink, Arc::clone(&ready))
        })
        .collect();
    let of_cluster: OptionFuture<_> = follows_cluster
        .then(|| {
            let report = |change: PolicyChange<'_>| {
                let mut report = lock(&report);
                report(change);
            };
            follow_cluster(policies, cluster, &unlisted, Arc::clone(&ready), report)
        })
        .into();
    drop(ready);
    join(join_all(watches), of_cluster).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes policies from the watch.
struct PolicySink<'p, F> {
    policies: &'p Policies,
    report: F,
    /// The namespace that is followed; `None` for all of them.
    within: Option<String>,
    /// The number of watches whose first list is not complete.
    unlisted: &'p AtomicUsize,
    is_listed: bool,
    begun: ListMark,
}

impl<F: FnMut(PolicyChange<'_>)> PolicySink<'_, F> {
    fn take(&mut self, object: &RawObject, listing: bool) -> Result<(), String> {
        let policy = match serde_json::from_str::<DevOpsPolicy>(object.json()) {
            Ok(policy) => policy,
            Err(error) => deleted(object.json()).ok_or_else(|| {
                (self.report)(PolicyChange::Unreadable);
                error.to_string()
            })?,
        };
        let reference = policy.reference();
        let before = self.policies.apply(policy);
        let Some(CompiledPolicy { policy: after, .. }) = self.policies.get(&reference) else { return Ok(()) };
        // Another policy may have had this name.
        let before = before.map(|before| before.policy).filter(|before| before.uid() == after.uid());
        (self.report)(PolicyChange::Applied { before: before.as_deref(), after: &after, listing });
        Ok(())
    }
}

/// Reads as much of a deleted policy as its cleanup needs, even if its spec can't be read.
fn deleted(json: &str) -> Option<DevOpsPolicy> {
    let PartialObjectMeta { metadata, .. } =
        serde_json::from_str::<PartialObjectMeta<DevOpsPolicy>>(json).ok()?;
    metadata.deletion_timestamp.as_ref()?;
    Some(DevOpsPolicy { metadata, spec: DevOpsPolicySpec::default(), status: None })
}

impl<F: FnMut(PolicyChange<'_>)> Sink for PolicySink<'_, F> {
    fn begin_list(&mut self) {
        self.begun = self.policies.begin_list();
    }

    fn list(&mut self, object: &RawObject) -> Result<(), String> {
        self.take(object, true)
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        let taken = self.take(object, false);
        if taken.is_err() {
            // The previous version of the policy no longer applies.
            self.delete(object);
        }
        taken
    }

    fn delete(&mut self, object: &RawObject) {
        let policy = PolicyRef::new(object.namespace(), object.name());
        self.policies.remove(&policy);
        (self.report)(PolicyChange::Removed(&policy));
    }

    fn end_list(&mut self) {
        self.policies.end_list_within(self.begun, self.within.as_deref());
        if !self.is_listed {
            self.is_listed = true;
            if self.unlisted.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.policies.set_listed();
            }
        }
        (self.report)(PolicyChange::Listed);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::SystemNamespaces;

    fn object(name: &str, deleted: bool, spec: &Value) -> RawObject {
        let time = deleted.then_some("2026-01-01T00:00:00Z");
        let metadata = json!({ "name": name, "namespace": "shop", "uid": name, "deletionTimestamp": time });
        serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
    }

    /// Runs `feed` over a sink and returns the policies with the changes that were reported.
    fn reported(feed: impl FnOnce(&mut dyn Sink)) -> (Policies, Vec<String>) {
        let policies = Policies::new(SystemNamespaces::default());
        let mut changes = Vec::new();
        let report = |change: PolicyChange<'_>| {
            changes.push(match change {
                PolicyChange::Applied { before, after, listing } => {
                    format!("{} {} {listing}", after.name_any(), before.is_some())
                }
                PolicyChange::Removed(policy) => format!("removed {policy}"),
                PolicyChange::Unreadable => "unreadable".to_owned(),
                PolicyChange::Cluster { name, .. } => name.to_owned(),
                PolicyChange::Listed => "listed".to_owned(),
            });
        };
        let unlisted = &AtomicUsize::new(1);
        feed(&mut PolicySink {
            policies: &policies,
            report,
            within: None,
            unlisted,
            is_listed: false,
            begun: ListMark::default(),
        });
        assert_eq!(policies.is_listed(), unlisted.load(Ordering::Relaxed) == 0);
        (policies, changes)
    }

    #[test]
    fn each_change_is_reported_with_the_policy_before_it() {
        let (policies, changes) = reported(|sink| {
            sink.begin_list();
            sink.list(&object("a", false, &json!({}))).unwrap();
            sink.end_list();
            sink.apply(&object("a", false, &json!({ "forbidLatestTag": true }))).unwrap();
            sink.delete(&object("a", false, &json!({})));
        });
        assert_eq!(changes, ["a false true", "listed", "a true false", "removed shop/a"]);
        assert!(policies.all().is_empty());
    }

    #[test]
    fn an_unreadable_policy_has_no_effect_and_can_still_be_cleaned_up() {
        let broken = json!({ "maxRestartCount": "many" });
        let (policies, changes) = reported(|sink| {
            sink.apply(&object("a", false, &json!({}))).unwrap();
            assert!(sink.apply(&object("a", false, &broken)).is_err());
            sink.apply(&object("b", true, &broken)).unwrap();
        });
        assert_eq!(changes, ["a false false", "unreadable", "removed shop/a", "b false false"]);
        let left: Vec<_> = policies.all().into_iter().map(|left| left.policy.name_any()).collect();
        assert_eq!(left, ["b"]);
    }
}
