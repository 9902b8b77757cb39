//! The watches that the operator lives on: pods and workloads into the inventory, results into the audit trail, and
//! policies for the controller.

use std::sync::Arc;

use futures::future::join_all;
use futures::stream::{self, Stream, StreamExt};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ApiResource;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher;
use tokio::sync::mpsc;
use tracing::warn;

use super::audit::{POLICY_UID, Past};
use super::context::key_of;
use super::{Mark, Operator};
use crate::cluster::{self, Event, RawObject, Sink, WatchRequest};
use crate::policy::{DevOpsPolicy, DevOpsPolicySpec, PolicyAuditResult};
use crate::workload::{Workload, WorkloadKind};

/// Dropped by each watch once it has listed everything.
#[derive(Clone)]
pub(super) struct Listing {
    _held: mpsc::Sender<()>,
}

/// Waits until every [`Listing`] is dropped.
pub(super) struct Listed(mpsc::Receiver<()>);

/// Returns what the watches hold while they list, and what waits for all of them.
pub(super) fn barrier() -> (Listing, Listed) {
    let (sender, receiver) = mpsc::channel(1);
    (Listing { _held: sender }, Listed(receiver))
}

impl Listed {
    pub(super) async fn wait(mut self) {
        // Nothing is ever sent: the end of the channel is the message.
        let _ = self.0.recv().await;
    }
}

/// Follows everything that policies are judged on, and the results that exist; never ends.
pub(super) fn follow_all(operator: &Arc<Operator>, listing: &Listing) -> impl Future<Output = ()> + use<> {
    let kinds = [
        (WorkloadKind::Pod, ApiResource::erase::<Pod>(&())),
        (WorkloadKind::Deployment, ApiResource::erase::<Deployment>(&())),
        (WorkloadKind::StatefulSet, ApiResource::erase::<StatefulSet>(&())),
        (WorkloadKind::DaemonSet, ApiResource::erase::<DaemonSet>(&())),
        (WorkloadKind::Job, ApiResource::erase::<Job>(&())),
        (WorkloadKind::CronJob, ApiResource::erase::<CronJob>(&())),
    ];
    let objects = kinds.map(|(kind, resource)| {
        let (operator, listing) = (Arc::clone(operator), listing.clone());
        async move {
            let sink = Objects { operator: &operator, kind, mark: Mark::default() };
            let request = WatchRequest { resource, namespace: None, selector: None, metadata_only: false };
            cluster::follow(&operator.cluster, request, sink, listing).await;
        }
    });
    let (operator, listing) = (Arc::clone(operator), listing.clone());
    let results = async move {
        let resource = ApiResource::erase::<PolicyAuditResult>(&());
        let sink = Results { operator: &operator };
        let request = WatchRequest { resource, namespace: None, selector: None, metadata_only: true };
        cluster::follow(&operator.cluster, request, sink, listing).await;
    };
    async move {
        futures::future::join(join_all(objects), results).await;
    }
}

/// Takes objects of one kind into the inventory.
struct Objects<'o> {
    operator: &'o Operator,
    kind: WorkloadKind,
    mark: Mark,
}

impl Sink for Objects<'_> {
    fn begin_list(&mut self) {
        self.mark = self.operator.inventory().begin_list();
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        let workload =
            Workload::from_json_owned(self.kind, object.json()).map_err(|error| error.to_string())?;
        let mut inventory = self.operator.inventory();
        // Nothing is left to judge in a pod that has ended, nor in what another object stands for.
        if workload.is_terminal() || workload.is_managed() {
            inventory.delete(self.kind, object.namespace(), object.name());
        } else {
            inventory.apply(workload);
        }
        drop(inventory);
        self.operator.changed.notify_one();
        Ok(())
    }

    fn delete(&mut self, object: &RawObject) {
        self.operator.inventory().delete(self.kind, object.namespace(), object.name());
        self.operator.changed.notify_one();
    }

    fn end_list(&mut self) {
        self.operator.inventory().end_list(self.kind, self.mark);
        self.operator.changed.notify_one();
    }
}

/// Takes the metadata of audit results into the audit trail.
struct Results<'o> {
    operator: &'o Operator,
}

impl Sink for Results<'_> {
    fn begin_list(&mut self) {
        self.operator.audits().begin_list();
    }

    fn apply(&mut self, result: &RawObject) -> Result<(), String> {
        // One that the operator did not make is none of its business.
        if let Some((uid, past)) = read(result)? {
            self.operator.audits().add(&uid, past);
        }
        Ok(())
    }

    fn delete(&mut self, result: &RawObject) {
        if let Ok(Some((uid, past))) = read(result) {
            self.operator.audits().remove(&uid, &past.name);
        }
    }

    fn end_list(&mut self) {
        self.operator.audits().end_list();
    }
}

/// The uid of a result's policy, and what else its metadata tell.
fn read(result: &RawObject) -> Result<Option<(String, Past)>, String> {
    let PartialObjectMeta { metadata, .. } =
        serde_json::from_str::<PartialObjectMeta<PolicyAuditResult>>(result.json())
            .map_err(|error| error.to_string())?;
    let uid = metadata.labels.as_ref().and_then(|labels| labels.get(POLICY_UID)).cloned();
    Ok(uid.zip(Past::of(&metadata)))
}

/// Follows the policies: those that change, for a controller that looks them up in the store. `ready` is dropped once
/// all are known.
pub(super) fn policies<R: Send + 'static>(
    operator: &Arc<Operator>,
    ready: R,
) -> (impl Stream<Item = Result<DevOpsPolicy, watcher::Error>> + Send + use<R>, Store<DevOpsPolicy>) {
    let (store, mut writer) = reflector::store();
    let resource = ApiResource::erase::<DevOpsPolicy>(&());
    let request = WatchRequest { resource, namespace: None, selector: None, metadata_only: false };
    let (operator, known) = (Arc::clone(operator), store.clone());
    let mut ready = Some(ready);
    let changes = cluster::watch(&operator.cluster, request).flat_map(move |change| {
        let event = change
            .inspect_err(|failure| warn!(%failure, "policies can't be followed; it is tried again"))
            .ok()
            .and_then(|event| decode(&operator, event));
        if let Some(event) = &event {
            writer.apply_watcher_event(event);
        }
        let woken = match event {
            Some(Event::InitDone) => {
                drop(ready.take());
                let all = known.state();
                operator.keep_judged(&all);
                all
            }
            Some(Event::Apply(policy)) => vec![Arc::new(policy)],
            Some(Event::Delete(policy)) => {
                operator.judged().remove(&key_of(&policy));
                Vec::new()
            }
            // What is listed is in the store only when the list has ended.
            Some(Event::Init | Event::InitApply(_)) | None => Vec::new(),
        };
        stream::iter(woken.into_iter().map(|policy| Ok(Arc::unwrap_or_clone(policy))))
    });
    (changes, store)
}

/// Reads a policy; one that can't be read, as it may be where an older CRD let it in, is skipped and named.
fn decode(operator: &Operator, event: Event<RawObject>) -> Option<Event<DevOpsPolicy>> {
    let read = |object: &RawObject| {
        serde_json::from_str(object.json())
            .inspect_err(|error| {
                let (namespace, name) = (object.namespace(), object.name());
                warn!(namespace, name, %error, "skipped a policy that can't be read");
                operator.metrics.errors.with_label_values(&["unreadable"]).inc();
            })
            .ok()
    };
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(read(&object)?),
        Event::Apply(object) => Event::Apply(read(&object)?),
        Event::Delete(object) => {
            let mut policy = DevOpsPolicy::new(object.name(), DevOpsPolicySpec::default());
            policy.metadata.namespace = Some(object.namespace().to_owned());
            Event::Delete(policy)
        }
    })
}
