//! A namespace with workloads, an operator that may enforce, and the test in the role of the kubelet.

use crate::control_plane::{AuditEvent, ControlPlane, Mark};
use crate::eventually::{eventually, within};
use crate::operator::world::{World, plane};
use crate::process::Process;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use kube_devops::manifests::Mode;
use kube_devops::policy::{DevOpsPolicy, DevOpsPolicyStatus, Remediation, RemediationPhase};
use serde_json::{Value, json};
use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::task::JoinHandle;

/// What becomes of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs and is ready.
    Ready,
    /// It starts, and is never ready.
    Stuck,
    /// Its container ends again and again.
    Crash,
}

/// The stage of a test.
pub(crate) struct Stage {
    pub(crate) world: World<'static>,
    pub(crate) namespace: String,
    kubelet: Option<JoinHandle<()>>,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(kubelet) = &self.kubelet {
            kubelet.abort();
        }
    }
}

/// A policy that mends probes, and watches as shortly as is allowed.
pub(crate) const PROBES: &str = "{requireLivenessProbe: true, requireReadinessProbe: true, enforcementMode: enforce, \
     remediation: {verifySeconds: 30}}";

impl Stage {
    /// A stage for a test that starts operators of its own, which enforce in the whole cluster: one such test at a time.
    pub(crate) async fn alone(fate: fn(&Pod) -> Fate) -> Self {
        static PLANE: OnceLock<ControlPlane> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let world = World::of(PLANE.get_or_init(plane), Mode::Enforce).await;
        Self { _turn: Some(turn), ..Self::on(world, fate) }
    }

    /// A stage on a cluster with one operator for many tests, each in its own namespace.
    pub(crate) async fn shared(fate: fn(&Pod) -> Fate) -> Self {
        static SHARED: OnceCell<(World<'static>, Process)> = OnceCell::const_new();
        static PLANE: OnceLock<ControlPlane> = OnceLock::new();
        let set = async || {
            let world = World::of(PLANE.get_or_init(plane), Mode::Enforce).await;
            // The budgets of the cluster are the business of other tests.
            let operator = world.replica("operator-0", &["--max-rollouts", "100", "--max-per-hour", "10000"]);
            operator.wait_until_ready();
            (world, operator)
        };
        let (world, _) = SHARED.get_or_init(set).await;
        Self::on(world.once_more().await, fate)
    }

    /// Another namespace beside this one.
    pub(crate) async fn another(&self, fate: fn(&Pod) -> Fate) -> Self {
        Self::on(self.world.once_more().await, fate)
    }

    /// A namespace that exists, beside this one.
    pub(crate) async fn beside(&self, namespace: String, fate: fn(&Pod) -> Fate) -> Self {
        Self::in_namespace(self.world.once_more().await, namespace, fate)
    }

    fn on(world: World<'static>, fate: fn(&Pod) -> Fate) -> Self {
        let namespace = world.plane.namespace("stage");
        Self::in_namespace(world, namespace, fate)
    }

    fn in_namespace(world: World<'static>, namespace: String, fate: fn(&Pod) -> Fate) -> Self {
        let kubelet = Some(tokio::spawn(kubelet(world.client.clone(), namespace.clone(), fate)));
        Self { world, namespace, kubelet, _turn: None }
    }

    pub(crate) fn api(&self, kind: &str) -> Api<DynamicObject> {
        workloads(&self.world.client, &self.namespace, kind)
    }

    /// Creates a workload with one container that declares port 8080, changed by `change`.
    pub(crate) async fn create(
        &self,
        kind: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> DynamicObject {
        let mut object = workload(kind, name);
        change(&mut object);
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        self.api(kind).create(&PostParams::default(), &object).await.unwrap()
    }

    /// Creates a workload, and waits until all of its pods are available.
    pub(crate) async fn run(&self, kind: &str, name: &str, change: impl FnOnce(&mut Value)) -> DynamicObject {
        self.create(kind, name, change).await;
        self.until_available(kind, name).await
    }

    pub(crate) async fn until_available(&self, kind: &str, name: &str) -> DynamicObject {
        eventually("the pods are available", async || {
            let object = self.get(kind, name).await;
            let status = &object.data["status"];
            let seen = status["observedGeneration"].as_i64() == object.metadata.generation;
            let wanted = object.data["spec"]["replicas"].as_i64().unwrap_or(1);
            let of = |field: &str| status[field].as_i64().unwrap_or_default();
            let all = of("availableReplicas") == wanted
                && of("updatedReplicas") == wanted
                && of("replicas") == wanted;
            (seen && all).then_some(object)
        })
        .await
    }

    pub(crate) async fn get(&self, kind: &str, name: &str) -> DynamicObject {
        self.api(kind).get(name).await.unwrap()
    }

    /// The first container of a workload's template.
    pub(crate) async fn container(&self, kind: &str, name: &str) -> Value {
        self.get(kind, name).await.data["spec"]["template"]["spec"]["containers"][0].clone()
    }

    pub(crate) async fn policy(&self, name: &str, spec: &str) -> DevOpsPolicy {
        self.world.policy(&self.namespace, name, spec).await
    }

    pub(crate) async fn status(&self, policy: &str) -> DevOpsPolicyStatus {
        let policy = self.world.policies(&self.namespace).get(policy).await.unwrap();
        policy.status.unwrap_or_default()
    }

    /// Waits until a workload's record is in a phase, which may take a minute to settle after the rollout's own time.
    pub(crate) async fn until(&self, policy: &str, workload: &str, phase: RemediationPhase) -> Remediation {
        within(Duration::from_mins(3), &format!("{workload} is {phase:?}"), async || {
            let status = self.status(policy).await;
            let mut records = status.remediations.into_iter();
            records.find(|record| {
                format!("{}/{}", record.kind, record.name) == workload && record.phase == phase
            })
        })
        .await
    }

    /// How often the operator wrote a workload since a mark.
    pub(crate) fn patches_since(&self, mark: Mark, name: &str) -> usize {
        self.workload_writes_since(mark)
            .iter()
            .filter(|event| event.name == name && event.verb == "patch")
            .count()
    }

    /// What the operator wrote to workloads of the stage since a mark.
    pub(crate) fn workload_writes_since(&self, mark: Mark) -> Vec<AuditEvent> {
        let mut writes = self.world.writes_since(mark);
        writes.retain(|event| event.group == "apps" && event.namespace == self.namespace);
        writes
    }
}

/// The workloads of a kind, as whole objects.
pub(crate) fn workloads(client: &Client, namespace: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "apps".into(),
        version: "v1".into(),
        api_version: "apps/v1".into(),
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
    };
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// A workload with one container that declares port 8080.
pub(crate) fn workload(kind: &str, name: &str) -> Value {
    let labels = json!({ "app": name });
    let container = json!({ "name": "main", "image": "x:1", "ports": [{ "containerPort": 8080 }] });
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "terminationGracePeriodSeconds": 0, "containers": [container] },
            },
        },
    });
    if kind != "DaemonSet" {
        object["spec"]["replicas"] = json!(1);
    }
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = json!(name);
    }
    object
}

/// Tells whether a pod has what enforcement gives.
pub(crate) fn is_patched(pod: &Pod) -> bool {
    let container = pod.spec.as_ref().map(|spec| &spec.containers[0]);
    container.is_some_and(|container| container.liveness_probe.is_some())
}

/// Gives each new pod its fate.
async fn kubelet(client: Client, namespace: String, fate: fn(&Pod) -> Fate) {
    let pods = Api::<Pod>::namespaced(client, &namespace);
    let mut seen =
        pin!(watcher(pods.clone(), watcher::Config::default()).default_backoff().applied_objects());
    while let Some(pod) = seen.next().await {
        // A watch that breaks off is begun again.
        let Ok(pod) = pod else { continue };
        let has_status = pod.status.as_ref().is_some_and(|status| status.container_statuses.is_some());
        if !has_status && pod.metadata.deletion_timestamp.is_none() {
            let status = Patch::Merge(json!({ "status": status_of(fate(&pod)) }));
            // It may be gone by now.
            let _ = pods.patch_status(&pod.name_any(), &PatchParams::default(), &status).await;
        }
    }
}

fn status_of(fate: Fate) -> Value {
    #[expect(clippy::disallowed_methods, reason = "a kubelet goes by the clock")]
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap();
    let ready = if fate == Fate::Ready { "True" } else { "False" };
    let mut container = json!({
        "name": "main", "image": "x:1", "imageID": "", "ready": fate == Fate::Ready, "restartCount": 0,
        "started": true, "state": { "running": { "startedAt": now } },
    });
    if fate == Fate::Crash {
        container["restartCount"] = json!(2);
        container["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off" } });
        container["lastState"] =
            json!({ "terminated": { "exitCode": 137, "reason": "Error", "finishedAt": now } });
    }
    json!({
        "phase": "Running",
        "conditions": [
            { "type": "Ready", "status": ready, "lastTransitionTime": now },
            { "type": "ContainersReady", "status": ready, "lastTransitionTime": now },
        ],
        "containerStatuses": [container],
    })
}
