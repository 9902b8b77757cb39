//! A namespace with one workload, its Service, a client that polls it, and an enforcing policy.

use crate::eventually::{eventually, within, within_every};
use crate::node;
use crate::poller::Poller;
use crate::server::Server;
use crate::workload::{NAME, Workload};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use kube_devops::policy::{DevOpsPolicy, Remediation, RemediationPhase};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The time limit of a rollout of slowly stopping servers on a busy machine.
const ROLLOUT: Duration = Duration::from_mins(8);
/// The time within which the operator decides on a workload that it leaves alone.
const DECISION: Duration = Duration::from_secs(45);
/// The time within which it decides on a workload that it looks at again.
const SECOND_LOOK: Duration = Duration::from_mins(4);
/// The reasons of the condition `Enforcing` for another look at a workload.
const LOOKS_AGAIN: [&str; 4] = ["ConnectWatched", "RestartedLately", "RollingOut", "PodsUnavailable"];
/// The time limit of a verdict on a patch.
const VERDICT: Duration = Duration::from_mins(15);
/// The time within which docs promise the withdrawal of what does harm after its verification.
pub(crate) const PROMISE: Duration = Duration::from_mins(3);
/// The interval between two polls. It is long because dozens of fixtures poll at the same time.
const LOOK: Duration = Duration::from_millis(500);
/// The number of successive answers after which a Service counts as served.
const ENOUGH: u64 = 10;
/// The policy of a fixture.
const POLICY: &str = "policy";

/// The harm that a change did to clients and pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// The number of failed requests.
    pub(crate) failed: u64,
    /// The number of container restarts.
    pub(crate) restarts: u64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.failed, self.restarts)
    }
}

/// The policy's result for the workload.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// The record of the patch; `None` if the workload was left alone.
    pub(crate) record: Option<Remediation>,
    /// The message of the condition `Enforcing`.
    pub(crate) enforcing: String,
}

impl Verdict {
    /// Returns the phase of the patch, if there was one.
    pub(crate) fn phase(&self) -> Option<RemediationPhase> {
        self.record.as_ref().map(|record| record.phase)
    }
}

/// A test's own namespace.
pub(crate) struct Fixture {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) pods: Api<Pod>,
    objects: Api<DynamicObject>,
    kind: &'static str,
    poller: Poller,
    restarts: Restarts,
}

impl Fixture {
    /// Creates the namespace with everything except for the policy. Returns when the workload is available.
    pub(crate) async fn new(workload: &Workload, server: &Server) -> Self {
        let server = server.moved_by(workload.offset);
        let client = node::client().await;
        let namespace = node::namespace(&client, "scenario").await;
        let services = Api::<Service>::namespaced(client.clone(), &namespace);
        let mut address = None;
        for service in workload.services(&server) {
            let service = serde_json::from_value(service).unwrap();
            let service = services.create(&PostParams::default(), &service).await.unwrap();
            let ip = service.spec.and_then(|spec| spec.cluster_ip);
            address = address.or(ip.and_then(|ip| ip.parse().ok()));
        }
        let reader: RoleBinding = serde_json::from_value(json!({
            "metadata": { "name": "reader" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view" },
            "subjects": [{ "kind": "ServiceAccount", "name": "default", "namespace": namespace }],
        }))
        .unwrap();
        Api::namespaced(client.clone(), &namespace).create(&PostParams::default(), &reader).await.unwrap();
        if workload.budget {
            let budget: PodDisruptionBudget = serde_json::from_value(json!({
                "metadata": { "name": NAME },
                "spec": { "maxUnavailable": 1, "selector": { "matchLabels": { "app": NAME } } },
            }))
            .unwrap();
            Api::namespaced(client.clone(), &namespace)
                .create(&PostParams::default(), &budget)
                .await
                .unwrap();
        }
        let objects = objects(&client, &namespace, workload.kind);
        let object = serde_json::from_value(workload.manifest(&server)).unwrap();
        objects.create(&PostParams::default(), &object).await.unwrap();
        let pods = Api::<Pod>::namespaced(client.clone(), &namespace);
        let fixture = Self {
            poller: Poller::start(address.expect("the Service has an address"), server.traffic),
            restarts: Restarts::watch(pods.clone()),
            kind: workload.kind,
            client,
            namespace,
            pods,
            objects,
        };
        fixture.rolled_out().await;
        fixture
    }

    /// Creates a fixture that nobody changes, to measure the failed requests of a busy machine.
    pub(crate) async fn control(server: &Server) -> Self {
        let fixture = Self::new(&Workload::surging(), server).await;
        fixture.is_served_within(ROLLOUT).await;
        fixture
    }

    /// Returns the workload.
    pub(crate) async fn object(&self) -> Value {
        serde_json::to_value(self.objects.get(NAME).await.unwrap()).unwrap()
    }

    /// Waits until the rollout has finished and all old pods are gone.
    pub(crate) async fn rolled_out(&self) {
        within_every(LOOK, ROLLOUT, &format!("a rollout in {}", self.namespace), async || {
            let is_over = Workload::is_rolled_out(&self.object().await) && !self.has_terminating_pods().await;
            is_over.then_some(())
        })
        .await;
    }

    /// Waits up to `limit` until requests are answered. Returns true if they are.
    pub(crate) async fn is_served_within(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        within(limit * 2, "requests are answered or the time limit is reached", async || {
            let is_served = self.poller.answered_in_a_row() >= ENOUGH;
            (is_served || Instant::now() > end).then_some(is_served)
        })
        .await
    }

    /// Restarts all pods as `kubectl rollout restart` does.
    pub(crate) async fn restart(&self, round: usize) {
        let annotations = json!({ "kubectl.kubernetes.io/restartedAt": round.to_string() });
        let patch = json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
        self.objects.patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Rolls out the owner's next release, whose server has other arguments.
    pub(crate) async fn release(&self, arguments: &[&str]) {
        let containers = json!([{ "name": "main", "args": arguments }]);
        let patch = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
        self.objects.patch(NAME, &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    }

    /// Deletes all pods at the same time, as in a power cut.
    pub(crate) async fn delete_pods(&self) {
        let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        self.pods.delete_collection(&now, &ListParams::default()).await.unwrap();
    }

    /// Makes one server crash.
    pub(crate) async fn crash(&self) {
        let what = format!("the answer of a server in {}", self.namespace);
        eventually(&what, async || self.poller.request("/crash").await.then_some(())).await;
    }

    /// Runs an action. Returns its cost and its result.
    pub(crate) async fn cost<T>(&self, act: impl AsyncFnOnce() -> T) -> (Cost, T) {
        let before = self.total().await;
        let outcome = act().await;
        let after = self.total().await;
        let cost = Cost { failed: after.failed - before.failed, restarts: after.restarts - before.restarts };
        (cost, outcome)
    }

    /// Creates a policy from its spec in YAML. Waits until the patch is verified or withdrawn, or the operator has
    /// decided to leave the workload alone.
    pub(crate) async fn enforce(&self, spec: &str) -> Verdict {
        node::operator().await;
        let spec: Value = yaml_serde::from_str(spec).unwrap();
        let policy = serde_json::from_value(json!({ "metadata": { "name": POLICY }, "spec": spec })).unwrap();
        self.policies().create(&PostParams::default(), &policy).await.unwrap();
        let start = Instant::now();
        within_every(LOOK, VERDICT, &format!("a verdict in {}", self.namespace), async || {
            let verdict = self.verdict().await?;
            match verdict.phase() {
                None if LOOKS_AGAIN.iter().any(|reason| verdict.enforcing.contains(reason)) => {
                    start.elapsed() > SECOND_LOOK
                }
                None => start.elapsed() > DECISION,
                Some(phase) => is_final(phase),
            }
            .then_some(verdict)
        })
        .await
    }

    /// Returns the result in the policy's status, once the operator has processed the policy.
    pub(crate) async fn verdict(&self) -> Option<Verdict> {
        let status = self.policies().get(POLICY).await.unwrap().status?;
        let is_ours = |record: &Remediation| record.kind == self.kind && record.name == NAME;
        let enforcing = status.conditions.into_iter().find(|condition| condition.type_ == "Enforcing")?;
        let record = status.remediations.into_iter().find(is_ours);
        Some(Verdict { record, enforcing: enforcing.message })
    }

    /// Waits until the verdict has this phase, for changes long after a patch.
    pub(crate) async fn until(&self, phase: RemediationPhase, limit: Duration) -> Verdict {
        within_every(LOOK, limit, &format!("{phase:?} in {}", self.namespace), async || {
            self.verdict().await.filter(|verdict| verdict.phase() == Some(phase))
        })
        .await
    }

    /// Waits until the pods show harm, and then for the withdrawal, which docs promise within three minutes.
    pub(crate) async fn withdrawn_soon_after(&self, harm: &str, is_harm: impl Fn(&[Pod]) -> bool) -> Verdict {
        self.until_pods(harm, is_harm).await;
        self.until(RemediationPhase::Withdrawn, PROMISE).await
    }

    /// Waits until the pods show harm, or the patch is withdrawn.
    pub(crate) async fn until_pods(&self, harm: &str, is_harm: impl Fn(&[Pod]) -> bool) {
        within_every(LOOK, Duration::from_mins(5), harm, async || {
            let verdict = self.verdict().await;
            // A fast withdrawal replaces the pods before they are seen.
            let is_withdrawn = verdict.and_then(|of| of.phase()) == Some(RemediationPhase::Withdrawn);
            (is_withdrawn || is_harm(&self.list_pods().await)).then_some(())
        })
        .await;
    }

    /// Waits until the policy says that the workload is skipped for a reason.
    pub(crate) async fn until_skipped(&self, reason: &str) -> Verdict {
        within_every(LOOK, Duration::from_mins(3), reason, async || {
            self.verdict().await.filter(|verdict| verdict.enforcing.contains(reason))
        })
        .await
    }

    /// Waits for a pod that satisfies `is`.
    pub(crate) async fn pod(&self, what: &str, is: impl Fn(&Pod) -> bool) -> Pod {
        eventually(what, async || self.list_pods().await.into_iter().find(&is)).await
    }

    pub(crate) async fn list_pods(&self) -> Vec<Pod> {
        self.pods.list(&ListParams::default()).await.unwrap().items
    }

    async fn has_terminating_pods(&self) -> bool {
        self.list_pods().await.iter().any(|pod| pod.metadata.deletion_timestamp.is_some())
    }

    async fn total(&self) -> Cost {
        Cost { failed: self.poller.failed().await, restarts: self.restarts.total() }
    }

    fn policies(&self) -> Api<DevOpsPolicy> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // A node has room for 240 pods, which is less than all rows of the table need.
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let name = self.namespace.clone();
        tokio::spawn(async move { namespaces.delete(&name, &DeleteParams::default()).await });
    }
}

/// Returns true if a patch in this phase no longer changes by itself.
fn is_final(phase: RemediationPhase) -> bool {
    matches!(phase, RemediationPhase::Verified | RemediationPhase::Withdrawn | RemediationPhase::Failed)
}

fn objects(client: &Client, namespace: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "apps".into(),
        version: "v1".into(),
        api_version: "apps/v1".into(),
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
    };
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Counts the restarts of containers, including those of deleted pods.
struct Restarts {
    by_pod: Arc<Mutex<HashMap<String, u64>>>,
    task: JoinHandle<()>,
}

impl Restarts {
    fn watch(pods: Api<Pod>) -> Self {
        let by_pod = Arc::<Mutex<HashMap<_, _>>>::default();
        let counts = Arc::clone(&by_pod);
        let task = tokio::spawn(async move {
            let mut seen =
                pin!(watcher(pods, watcher::Config::default()).default_backoff().applied_objects());
            while let Some(pod) = seen.next().await {
                // The watcher restarts an interrupted watch.
                let Ok(pod) = pod else { continue };
                let (uid, count) = (pod.uid().unwrap_or_default(), restarts_of(&pod));
                counts.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, count);
            }
        });
        Self { by_pod, task }
    }

    fn total(&self) -> u64 {
        self.by_pod.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for Restarts {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns the restarts of a pod's containers.
pub(crate) fn restarts_of(pod: &Pod) -> u64 {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|status| u64::try_from(status.restart_count).unwrap_or_default()).sum()
}
