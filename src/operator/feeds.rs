//! The watches that the operator lives on: pods and workloads into the inventory, results into the audit trail, and
//! policies for the controller.

use std::sync::Arc;

use futures::future::join_all;
use futures::stream::{self, Stream, StreamExt as _};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use kube::ResourceExt as _;
use kube::api::ApiResource;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher;
use tokio::sync::mpsc;

use super::Operator;
use super::audit::{POLICY_UID, Past};
use crate::cluster::{self, Event, Mark, RawObject, Sink, WatchRequest};
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
        (WorkloadKind::ReplicaSet, ApiResource::erase::<ReplicaSet>(&())),
        (WorkloadKind::ReplicationController, ApiResource::erase::<ReplicationController>(&())),
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
        self.operator.inventory().apply(workload);
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

/// Follows the policies: those to reconcile, for a controller that looks them up in the store, and the watch that
/// brings them, which never ends. `ready` is dropped once all are known.
pub(super) fn policies<R: Send + 'static>(
    operator: &Arc<Operator>,
    ready: R,
) -> (
    impl Stream<Item = Result<DevOpsPolicy, watcher::Error>> + Send + use<R>,
    Store<DevOpsPolicy>,
    impl Future<Output = ()> + use<R>,
) {
    let (store, writer) = reflector::store();
    let (woken, mut receiver) = mpsc::unbounded_channel();
    let (operator, known) = (Arc::clone(operator), store.clone());
    let watch = async move {
        let resource = ApiResource::erase::<DevOpsPolicy>(&());
        let request = WatchRequest { resource, namespace: None, selector: None, metadata_only: false };
        let sink = Policies { operator: &operator, writer, known, woken };
        cluster::follow(&operator.cluster, request, sink, ready).await;
    };
    (stream::poll_fn(move |context| receiver.poll_recv(context)).map(Ok), store, watch)
}

/// Takes policies into the store, and wakes them.
struct Policies<'o> {
    operator: &'o Operator,
    writer: Writer<DevOpsPolicy>,
    known: Store<DevOpsPolicy>,
    woken: mpsc::UnboundedSender<DevOpsPolicy>,
}

impl Policies<'_> {
    fn read(&self, object: &RawObject) -> Result<DevOpsPolicy, String> {
        serde_json::from_str(object.json()).or_else(|error| {
            going(object.json()).ok_or_else(|| {
                self.operator.metrics.errors.with_label_values(&["unreadable"]).inc();
                error.to_string()
            })
        })
    }

    /// Counts what enforcement did since the policy was seen last.
    fn count(&self, policy: &DevOpsPolicy) {
        let before = self.known.get(&ObjectRef::from_obj(policy)).filter(|known| known.uid() == policy.uid());
        let before = before.as_ref().and_then(|known| known.status.as_ref());
        if let Some(after) = &policy.status {
            self.operator.metrics.remediation.count(before, after);
        }
    }

    fn wake(&self, policy: DevOpsPolicy) {
        // Nobody listens only when the operator ends.
        let _ = self.woken.send(policy);
    }
}

/// A deleted policy that can't be read, as far as its end takes: what it wanted is unknown, so what it did stays.
fn going(json: &str) -> Option<DevOpsPolicy> {
    let PartialObjectMeta { metadata, .. } =
        serde_json::from_str::<PartialObjectMeta<DevOpsPolicy>>(json).ok()?;
    metadata.deletion_timestamp.as_ref()?;
    Some(DevOpsPolicy { metadata, spec: DevOpsPolicySpec::default(), status: None })
}

impl Sink for Policies<'_> {
    fn begin_list(&mut self) {
        self.writer.apply_watcher_event(&Event::Init);
    }

    fn list(&mut self, object: &RawObject) -> Result<(), String> {
        let policy = self.read(object)?;
        self.count(&policy);
        self.writer.apply_watcher_event(&Event::InitApply(policy));
        Ok(())
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        match self.read(object) {
            Ok(policy) => {
                self.count(&policy);
                self.writer.apply_watcher_event(&Event::Apply(policy.clone()));
                self.wake(policy);
                Ok(())
            }
            // Nobody is judged by what a policy said before.
            Err(error) => {
                self.delete(object);
                Err(error)
            }
        }
    }

    fn delete(&mut self, object: &RawObject) {
        let mut policy = DevOpsPolicy::new(object.name(), DevOpsPolicySpec::default());
        policy.metadata.namespace = Some(object.namespace().to_owned());
        self.operator.forget_policy(&policy.reference());
        self.writer.apply_watcher_event(&Event::Delete(policy));
    }

    fn end_list(&mut self) {
        self.writer.apply_watcher_event(&Event::InitDone);
        let all = self.known.state();
        self.operator.keep_policies(&all);
        for policy in all {
            self.wake(Arc::unwrap_or_clone(policy));
        }
    }
}
