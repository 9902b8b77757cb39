//! The watches of the operator. They feed the inventory, the audit trail and the controller.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::{BoxFuture, join, join_all};
use futures::stream::{self, Stream, StreamExt as _};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Pod, ReplicationController, Service};
use kube::ResourceExt as _;
use kube::api::{ApiResource, ObjectMeta};
use kube::core::{PartialObjectMeta, PartialObjectMetaExt as _};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher;
use tokio::sync::{mpsc, oneshot};

use super::Operator;
use super::audit::{POLICY_UID, Past};
use super::cluster_evaluations::CLUSTER;
use super::report_keeper::{self, ReportSink};
use crate::cluster::{self, Event, ListMark, RawObject, Sink, WatchFailure, WatchRequest};
use crate::enforcement::{self, KINDS, Trace};
use crate::policies::{self, PolicyChange};
use crate::policy::{DevOpsPolicy, PolicyAuditResult};
use crate::workload::{Fields, PolicyRef, Workload, WorkloadKind};

/// Each watch holds this until its first list is complete.
#[derive(Clone)]
pub(super) struct Listing {
    _held: mpsc::Sender<()>,
}

/// Waits until every [`Listing`] is dropped.
pub(super) struct Listed(mpsc::Receiver<()>);

/// Creates the handle for the watches, and the one that waits for all of them.
pub(super) fn barrier() -> (Listing, Listed) {
    let (sender, receiver) = mpsc::channel(1);
    (Listing { _held: sender }, Listed(receiver))
}

impl Listed {
    pub(super) async fn wait(mut self) {
        // No message is ever sent. The channel closes when the last sender is dropped.
        let _ = self.0.recv().await;
    }
}

/// Follows pods, workloads, Services and audit results. Never ends.
pub(super) fn follow_all(operator: &Arc<Operator>, listing: &Listing) -> impl Future<Output = ()> + use<> {
    let kinds = [
        (WorkloadKind::Pod, ApiResource::erase::<Pod>(&())),
        (WorkloadKind::Deployment, ApiResource::erase::<Deployment>(&())),
        (WorkloadKind::StatefulSet, ApiResource::erase::<StatefulSet>(&())),
        (WorkloadKind::DaemonSet, ApiResource::erase::<DaemonSet>(&())),
        (WorkloadKind::ReplicaSet, ApiResource::erase::<ReplicaSet>(&())),
        (WorkloadKind::ReplicationController, ApiResource::erase::<ReplicationController>(&())),
        (WorkloadKind::Job, ApiResource::erase::<Job>(&())),
        (WorkloadKind::CronJob, ApiResource::erase::<CronJob>(&())),
    ];
    let request = |resource, within: &Option<String>, metadata_only| WatchRequest {
        resource,
        namespace: within.clone(),
        selector: None,
        metadata_only,
    };
    let mut watches: Vec<BoxFuture<'static, ()>> = Vec::new();
    for within in operator.scopes() {
        for (kind, resource) in kinds.clone() {
            let (operator, listing) = (Arc::clone(operator), listing.clone());
            let (request, within) = (request(resource, &within, false), within.clone());
            watches
                .push(Box::pin(async move { follow_kind(&operator, request, kind, within, listing).await }));
        }
        let (services, results) = (
            request(ApiResource::erase::<Service>(&()), &within, false),
            request(ApiResource::erase::<PolicyAuditResult>(&()), &within, true),
        );
        if operator.reports().is_some() {
            let (operator, within) = (Arc::clone(operator), within.clone());
            watches.push(Box::pin(async move { follow_reports(&operator, within).await }));
        }
        let (operator, listing) = (Arc::clone(operator), listing.clone());
        watches.push(Box::pin(async move {
            let (also, mark) = (listing.clone(), ListMark::default());
            let sink = Services { operator: &operator, within: within.clone(), mark };
            let services = cluster::follow(&operator.cluster, services, sink, listing);
            let sink = Results { operator: &operator, within, mark };
            join(services, cluster::follow(&operator.cluster, results, sink, also)).await;
        }));
    }
    if operator.reports().is_some() && operator.namespaces.is_empty() {
        let operator = Arc::clone(operator);
        let within = Some(CLUSTER.to_owned());
        watches.push(Box::pin(async move { follow_reports(&operator, within).await }));
    }
    async move {
        join_all(watches).await;
    }
}

/// Follows the metadata of our reports. Nothing waits for them, because the API server may not have the resource.
async fn follow_reports(operator: &Operator, within: Option<String>) {
    let sink = ReportSink::new(operator, within.clone());
    cluster::follow(&operator.cluster, report_keeper::request(within), sink, ()).await;
}

/// Follows the objects of one kind, as soon as the fields that rules of policies read are known. Begins anew when those
/// fields change.
async fn follow_kind(
    operator: &Operator,
    request: WatchRequest,
    kind: WorkloadKind,
    within: Option<String>,
    listing: Listing,
) {
    let (mut reads, mut listing) = (operator.fields(), Some(listing));
    let of_kind = |fields: &Option<Fields>| fields.map(|fields| fields.of_kind(kind));
    loop {
        // The sender lives as long as the operator.
        let Some(fields) = reads.wait_for(Option::is_some).await.ok().and_then(|fields| of_kind(&fields))
        else {
            return;
        };
        let sink = Objects { operator, kind, within: within.clone(), fields, mark: ListMark::default() };
        let (synced, listed) = oneshot::channel::<()>();
        let follow = cluster::follow(&operator.cluster, request.clone(), sink, synced);
        // The sender is dropped once everything was listed.
        let release = async {
            let _ = listed.await;
            listing = None;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = follow => {}
            () = release => {}
            _ = reads.wait_for(|new| of_kind(new) != Some(fields)) => {}
        }
    }
}

/// Adds objects of one kind to the inventory.
struct Objects<'o> {
    operator: &'o Operator,
    kind: WorkloadKind,
    /// The namespace that is followed; `None` for all of them.
    within: Option<String>,
    /// The fields that are kept.
    fields: Fields,
    mark: ListMark,
}

impl Sink for Objects<'_> {
    fn begin_list(&mut self) {
        let mut inventory = self.operator.inventory();
        self.mark = inventory.begin_list();
        if self.kind == WorkloadKind::Pod {
            inventory.health.interrupt(self.within.as_deref());
        }
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        let workload = Workload::from_json_with(self.fields, self.kind, object.json())
            .map_err(|error| error.to_string())?;
        let is_patched = KINDS.contains(&self.kind);
        let trace =
            is_patched.then(|| Trace::read(object.json())).transpose().map_err(|error| error.to_string())?;
        let (mut inventory, now) = (self.operator.inventory(), self.operator.now());
        inventory.apply_with_trace(workload, trace.flatten());
        inventory.observe(self.kind, object.namespace(), object.name(), object.json(), now);
        drop(inventory);
        self.operator.changed.notify_one();
        Ok(())
    }

    fn delete(&mut self, object: &RawObject) {
        self.operator.inventory().delete(self.kind, object.namespace(), object.name());
        self.operator.changed.notify_one();
    }

    fn end_list(&mut self) {
        self.operator.inventory().end_list(self.kind, self.mark, self.within.as_deref());
        self.resumed();
        self.operator.changed.notify_one();
    }

    fn interrupted(&mut self, _failure: &WatchFailure) {
        if self.kind == WorkloadKind::Pod {
            self.operator.inventory().health.interrupt(self.within.as_deref());
        }
    }

    fn resumed(&mut self) {
        if self.kind == WorkloadKind::Pod {
            let now = self.operator.now();
            self.operator.inventory().health.resume(self.within.as_deref(), now);
        }
    }
}

/// Adds Services to the inventory.
struct Services<'o> {
    operator: &'o Operator,
    within: Option<String>,
    mark: ListMark,
}

impl Sink for Services<'_> {
    fn begin_list(&mut self) {
        self.mark = self.operator.inventory().begin_services();
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        let service = enforcement::Service::read(object.json()).map_err(|error| error.to_string())?;
        self.operator.inventory().apply_service(object.namespace(), service);
        self.operator.changed.notify_one();
        Ok(())
    }

    fn delete(&mut self, object: &RawObject) {
        self.operator.inventory().delete_service(object.namespace(), object.name());
        self.operator.changed.notify_one();
    }

    fn end_list(&mut self) {
        self.operator.inventory().end_services(self.mark, self.within.as_deref());
        self.operator.changed.notify_one();
    }
}

/// Adds the metadata of audit results to the audit trail.
struct Results<'o> {
    operator: &'o Operator,
    within: Option<String>,
    mark: ListMark,
}

impl Sink for Results<'_> {
    fn begin_list(&mut self) {
        self.mark = self.operator.audits().begin_list();
    }

    fn apply(&mut self, result: &RawObject) -> Result<(), String> {
        // Results that the operator did not create are ignored.
        let (metadata, found) = read(result)?;
        if let Some((uid, past)) = found {
            self.operator.audits().add(&uid, past);
            self.operator.wake_owner_elsewhere(&metadata);
        }
        Ok(())
    }

    fn delete(&mut self, result: &RawObject) {
        if let Ok((_, Some((uid, past)))) = read(result) {
            self.operator.audits().remove(&uid, &past);
        }
    }

    fn end_list(&mut self) {
        self.operator.audits().end_list(self.mark, self.within.as_deref());
    }
}

/// Reads a result's metadata, the uid of its policy and the result; `None` for one that the operator did not create.
fn read(result: &RawObject) -> Result<(ObjectMeta, Option<(String, Past)>), String> {
    let PartialObjectMeta { metadata, .. } =
        serde_json::from_str::<PartialObjectMeta<PolicyAuditResult>>(result.json())
            .map_err(|error| error.to_string())?;
    let uid = metadata.labels.as_ref().and_then(|labels| labels.get(POLICY_UID)).cloned();
    let found = uid.zip(Past::of(&metadata));
    Ok((metadata, found))
}

/// The name of a policy; the controller keeps nothing else of it.
pub(super) type PolicyName = PartialObjectMeta<DevOpsPolicy>;

/// Returns the identity of a policy.
pub(super) fn reference(policy: &PolicyName) -> PolicyRef {
    PolicyRef::new(policy.namespace().unwrap_or_default(), policy.name_any())
}

/// Returns the object by which the controller knows a policy.
pub(super) fn name(policy: PolicyRef) -> PolicyName {
    let namespace = Some(policy.namespace).filter(|namespace| !namespace.is_empty());
    let metadata = ObjectMeta { name: Some(policy.name), namespace, ..ObjectMeta::default() };
    metadata.into_response_partial()
}

/// Follows the policies. Returns the policies to reconcile, the store in which a controller looks them up, and the
/// watch, which never ends. `ready` is dropped once all are known.
pub(super) fn policies<R: Send + 'static>(
    operator: &Arc<Operator>,
    ready: R,
) -> (
    impl Stream<Item = Result<PolicyName, watcher::Error>> + Send + use<R>,
    Store<PolicyName>,
    impl Future<Output = ()> + use<R>,
) {
    let (store, mut names) = reflector::store();
    let (woken, mut receiver) = mpsc::unbounded_channel();
    let operator = Arc::clone(operator);
    let watch = async move {
        let report = |change: PolicyChange<'_>| take(&operator, &mut names, &woken, change);
        policies::follow(&operator.policies, &operator.cluster, &operator.namespaces, ready, report).await;
    };
    (stream::poll_fn(move |context| receiver.poll_recv(context)).map(Ok), store, watch)
}

/// Counts a change of a policy, and triggers its reconcile.
fn take(
    operator: &Operator,
    names: &mut Writer<PolicyName>,
    woken: &mpsc::UnboundedSender<PolicyName>,
    change: PolicyChange<'_>,
) {
    // While policies are listed, their end stands for all of them.
    if !matches!(change, PolicyChange::Applied { listing: true, .. }) {
        operator.note_reads();
    }
    match change {
        PolicyChange::Applied { after, listing, .. } => {
            operator.wake_admission(&after.reference().namespace);
            if !listing {
                let policy = name(after.reference());
                names.apply_watcher_event(&Event::Apply(policy.clone()));
                // The receiver is only dropped when the operator ends.
                let _ = woken.send(policy);
            }
        }
        PolicyChange::Removed(policy) => {
            operator.forget_policy(policy);
            operator.wake_admission(&policy.namespace);
            names.apply_watcher_event(&Event::Delete(name(policy.clone())));
        }
        PolicyChange::Cluster { name: policy, namespaces } => {
            let whole = PolicyRef::cluster(policy);
            let is_there = operator.policies.cluster(policy).is_some();
            for namespace in namespaces {
                operator.wake_admission(namespace);
                let within = PolicyRef::new(namespace, &*whole.name);
                if operator.policies.get(&within).is_none() {
                    operator.forget_policy(&within);
                }
            }
            let policy = name(whole);
            if is_there {
                names.apply_watcher_event(&Event::Apply(policy.clone()));
                let _ = woken.send(policy);
            } else {
                operator.cluster_evaluations().forget(&reference(&policy));
                names.apply_watcher_event(&Event::Delete(policy));
            }
        }
        PolicyChange::Unreadable => operator.metrics.errors.with_label_values(&["unreadable"]).inc(),
        PolicyChange::Listed => {
            let all: BTreeSet<_> =
                operator.policies.all().iter().map(|known| known.policy.reference()).collect();
            operator.keep_policies(&all);
            if let Some(native) = &operator.native {
                native.wake_all();
            }
            // A cluster policy is reconciled as a whole.
            let own = all.into_iter().filter(|policy| policy.cluster_name().is_none());
            let cluster = operator.policies.cluster_names();
            let cluster = cluster.iter().map(|policy| PolicyRef::cluster(policy));
            let all: Vec<_> = own.chain(cluster).map(name).collect();
            names.apply_watcher_event(&Event::Init);
            for policy in &all {
                names.apply_watcher_event(&Event::InitApply(policy.clone()));
            }
            names.apply_watcher_event(&Event::InitDone);
            for policy in all {
                let _ = woken.send(policy);
            }
        }
    }
}
