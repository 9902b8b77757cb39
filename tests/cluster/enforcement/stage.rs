//! A namespace with workloads, an operator that may enforce, and the test in the role of the kubelet.

use crate::control_plane::{AuditEvent, ControlPlane, Mark};
use crate::eventually::{eventually, within};
use crate::kubelet::set_pod_status;
use crate::operator::world::{World, plane};
use crate::process::Process;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use kube_devops::enforcement::FIELD_MANAGER;
use kube_devops::manifests::Mode;
use kube_devops::policy::{DevOpsPolicy, DevOpsPolicyStatus, Remediation, RemediationPhase};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// What becomes of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs and is ready.
    Ready,
    /// It starts, and is never ready.
    Stuck,
    /// Its container ends again and again.
    Crash,
    /// Its container was killed once for its memory, and runs again.
    OutOfMemory,
    /// The scheduler finds no node for it.
    Unschedulable,
}

/// The stage of a test.
pub(crate) struct Stage {
    pub(crate) world: World<'static>,
    pub(crate) namespace: String,
    /// The operator that many tests share.
    operator: Option<&'static Process>,
    _kubelet: Kubelet,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// The task in the role of the kubelet, which ends with its stage.
struct Kubelet(JoinHandle<()>);

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A policy that mends probes, and watches as shortly as is allowed.
pub(crate) const PROBES: &str = "{requireLivenessProbe: true, requireReadinessProbe: true, enforcementMode: enforce, \
     remediation: {verifySeconds: 30}}";
/// A policy that gives requests and a memory limit.
pub(crate) const RESOURCES: &str = "{defaultResources: {cpuRequest: 10m, memoryRequest: 16Mi, memoryLimit: 32Mi}, \
     enforcementMode: enforce, remediation: {verifySeconds: 30}}";
/// How long a patch is watched under these.
pub(crate) const VERIFY: Duration = Duration::from_secs(30);

impl Stage {
    /// A stage for a test that starts operators of its own, which enforce in the whole cluster: one such test at a time.
    pub(crate) async fn alone(fate: fn(&Pod) -> Fate) -> Self {
        static PLANE: OnceLock<ControlPlane> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let world = World::of(PLANE.get_or_init(plane), Mode::Enforce).await;
        world.without_policies().await;
        Self { _turn: Some(turn), ..Self::on(world, fate) }
    }

    /// A stage on a cluster of its own, for what is about all of a cluster.
    pub(crate) async fn apart(fate: fn(&Pod) -> Fate) -> Self {
        // It goes with the process, as those that tests share.
        let plane = Box::leak(Box::new(plane()));
        Self::on(World::of(plane, Mode::Enforce).await, fate)
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
        let (world, operator) = SHARED.get_or_init(set).await;
        Self { operator: Some(operator), ..Self::on(world.once_more().await, fate) }
    }

    /// Another namespace of the same cluster.
    pub(crate) async fn beside(&self, fate: fn(&Pod) -> Fate) -> Self {
        Self { operator: self.operator, ..Self::on(self.world.once_more().await, fate) }
    }

    /// A namespace that there is already, of the same cluster.
    pub(crate) async fn in_namespace(&self, namespace: String, fate: fn(&Pod) -> Fate) -> Self {
        Self::of(self.world.once_more().await, namespace, fate)
    }

    fn on(world: World<'static>, fate: fn(&Pod) -> Fate) -> Self {
        let namespace = world.plane.namespace("stage");
        Self::of(world, namespace, fate)
    }

    fn of(world: World<'static>, namespace: String, fate: fn(&Pod) -> Fate) -> Self {
        let kubelet = Kubelet(tokio::spawn(kubelet(world.client.clone(), namespace.clone(), fate)));
        Self { world, namespace, operator: None, _kubelet: kubelet, _turn: None }
    }

    /// A metric of the operator that many tests share: what others do counts too.
    pub(crate) fn metric(&self, sample: &str) -> f64 {
        self.operator.and_then(|operator| operator.metric(sample)).unwrap_or_default()
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
        let [all, updated, available] = match kind {
            "DaemonSet" => ["currentNumberScheduled", "updatedNumberScheduled", "numberAvailable"],
            _ => ["replicas", "updatedReplicas", "availableReplicas"],
        };
        eventually("the pods are available", async || {
            let object = self.get(kind, name).await;
            let status = &object.data["status"];
            let seen = status["observedGeneration"].as_i64() == object.metadata.generation;
            let of = |field: &str| status[field].as_i64().unwrap_or_default();
            let wanted = match kind {
                "DaemonSet" => of("desiredNumberScheduled"),
                _ => object.data["spec"]["replicas"].as_i64().unwrap_or(1),
            };
            let whole = wanted > 0 && [all, updated, available].iter().all(|field| of(field) == wanted);
            (seen && whole).then_some(object)
        })
        .await
    }

    /// Waits for a pod that is as a test wants it, of those that the kubelet knows.
    pub(crate) async fn pod(&self, what: &str, is: impl Fn(&Pod) -> bool) -> String {
        let pods = self.world.pods(&self.namespace);
        eventually(what, async || {
            let pods = pods.list(&ListParams::default()).await.unwrap().items;
            let mut known =
                pods.iter().filter(|pod| has_fate(pod) && pod.metadata.deletion_timestamp.is_none());
            known.find(|pod| is(pod)).map(ResourceExt::name_any)
        })
        .await
    }

    /// Lets something happen to a pod.
    pub(crate) async fn befall(&self, pod: &str, fate: Fate) {
        set_pod_status(&self.world.client, &self.namespace, pod, &status_of(fate)).await;
    }

    /// Changes a workload as somebody.
    pub(crate) async fn edit(&self, kind: &str, name: &str, who: &str, change: &Value) {
        let params = PatchParams { field_manager: Some(who.to_owned()), ..PatchParams::default() };
        self.api(kind).patch(name, &params, &Patch::Strategic(change)).await.unwrap();
    }

    /// Makes a node that is ready, and returns its name; there is no other with the stage's label.
    pub(crate) async fn node(&self, name: &str) -> String {
        let nodes = Api::<Node>::all(self.world.client.clone());
        let name = format!("{}-{name}", self.namespace);
        let node = json!({ "metadata": { "name": name, "labels": { "stage": self.namespace } } });
        nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
        let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
        nodes.patch_status(&name, &PatchParams::default(), &Patch::Merge(ready)).await.unwrap();
        // The API server taints each new node, and it is another controller that finds it ready.
        let untainted = Patch::Merge(json!({ "spec": { "taints": null } }));
        nodes.patch(&name, &PatchParams::default(), &untainted).await.unwrap();
        name
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

    /// Changes the spec of a policy.
    pub(crate) async fn change_policy(&self, name: &str, spec: Value) {
        let merge = Patch::Merge(json!({ "spec": spec }));
        self.world.policies(&self.namespace).patch(name, &PatchParams::default(), &merge).await.unwrap();
    }

    /// Deletes a policy; it goes once its finalizer does.
    pub(crate) async fn delete_policy(&self, name: &str) {
        let policies = self.world.policies(&self.namespace);
        policies.delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub(crate) async fn until_policy_is_gone(&self, name: &str) {
        let policies = self.world.policies(&self.namespace);
        eventually("the policy is gone", async || {
            policies.get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    /// Waits until a condition of a policy is as it should be.
    pub(crate) async fn until_condition(&self, policy: &str, type_: &str, reason: &str, words: &str) {
        let what = format!("{type_}: {reason}: {words}");
        let is = |status: &DevOpsPolicyStatus| {
            let mut conditions = status.conditions.iter().filter(|condition| condition.type_ == type_);
            conditions.any(|condition| condition.reason == reason && condition.message.contains(words))
        };
        self.world.until(&self.namespace, policy, &what, is).await;
    }

    /// Waits until an event tells of a policy.
    pub(crate) async fn until_event(&self, policy: &str, reason: &str, words: &str) {
        eventually(&format!("{reason}: {words}"), async || {
            let events = self.world.events(&self.namespace, policy).await;
            events.into_iter().find(|(_, told, _, note)| told == reason && note.contains(words))
        })
        .await;
    }

    pub(crate) async fn status(&self, policy: &str) -> DevOpsPolicyStatus {
        let policy = self.world.policies(&self.namespace).get(policy).await.unwrap();
        policy.status.unwrap_or_default()
    }

    /// Leaves a policy with these records, as an operator that was killed.
    pub(crate) async fn set_records(&self, policy: &str, records: &[Remediation]) {
        let status = Patch::Merge(json!({ "status": { "remediations": records } }));
        let policies = self.world.policies(&self.namespace);
        policies.patch_status(policy, &PatchParams::default(), &status).await.unwrap();
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

    /// Watches for a while, in which a workload's record has to stay in its phase.
    pub(crate) async fn stays(
        &self,
        policy: &str,
        workload: &str,
        phase: RemediationPhase,
        while_: Duration,
    ) {
        let end = Instant::now() + while_;
        while Instant::now() < end {
            let status = self.status(policy).await;
            let mut records = status.remediations.iter();
            let record = records.find(|record| format!("{}/{}", record.kind, record.name) == workload);
            assert_eq!(record.map(|record| record.phase), Some(phase), "{record:?}");
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// How often the operator wrote a workload since a mark.
    pub(crate) fn patches_since(&self, mark: Mark, name: &str) -> usize {
        self.workload_writes_since(mark)
            .iter()
            .filter(|event| event.name == name && event.verb == "patch")
            .count()
    }

    /// How often the operator tried to write a workload since a mark.
    pub(crate) fn attempts_since(&self, mark: Mark, name: &str) -> usize {
        self.attempted_since(mark).iter().filter(|event| event.name == name && event.verb == "patch").count()
    }

    /// What the operator wrote to workloads of the stage since a mark. What was refused, as over a version that a controller
    /// has just replaced, is no write.
    pub(crate) fn workload_writes_since(&self, mark: Mark) -> Vec<AuditEvent> {
        let mut writes = self.attempted_since(mark);
        writes.retain(|event| event.code < 300);
        writes
    }

    fn attempted_since(&self, mark: Mark) -> Vec<AuditEvent> {
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

/// The template of a workload.
pub(crate) fn template(object: &DynamicObject) -> &Value {
    &object.data["spec"]["template"]
}

/// Tells whether enforcement owns anything of a workload.
pub(crate) fn is_marked(object: &DynamicObject) -> bool {
    let mut entries = object.metadata.managed_fields.iter().flatten();
    entries.any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER))
}

/// Tells whether a pod has the probes that enforcement gives.
pub(crate) fn is_patched(pod: &Pod) -> bool {
    let container = pod.spec.as_ref().map(|spec| &spec.containers[0]);
    container.is_some_and(|container| container.liveness_probe.is_some())
}

/// Tells whether a pod has the requests that enforcement gives.
pub(crate) fn has_requests(pod: &Pod) -> bool {
    let container = pod.spec.as_ref().map(|spec| &spec.containers[0]);
    let resources = container.and_then(|container| container.resources.as_ref());
    resources.is_some_and(|resources| resources.requests.is_some())
}

/// Gives each pod its fate once, and those of a `DaemonSet` their nodes.
async fn kubelet(client: Client, namespace: String, fate: fn(&Pod) -> Fate) {
    let pods = Api::<Pod>::namespaced(client, &namespace);
    let mut known = HashSet::new();
    let mut seen =
        pin!(watcher(pods.clone(), watcher::Config::default()).default_backoff().applied_objects());
    while let Some(pod) = seen.next().await {
        // A watch that breaks off is begun again.
        let Ok(pod) = pod else { continue };
        let uid = pod.uid().unwrap_or_default();
        if known.contains(&uid) || pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        bind(&pods, &pod).await;
        let status = Patch::Merge(json!({ "status": status_of(fate(&pod)) }));
        // It may be gone by now; an API server that is away sends it again.
        if pods.patch_status(&pod.name_any(), &PatchParams::default(), &status).await.is_ok() {
            known.insert(uid);
        }
    }
}

/// Puts the pod of a `DaemonSet` on the node that it is meant for, as the scheduler does.
async fn bind(pods: &Api<Pod>, pod: &Pod) {
    let spec = serde_json::to_value(&pod.spec).unwrap();
    let terms = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let node = spec.pointer(&format!("{terms}/0/matchFields/0/values/0"));
    if let (Some(node), None) = (node, spec.get("nodeName")) {
        let name = pod.name_any();
        let target = json!({ "apiVersion": "v1", "kind": "Node", "name": node });
        let binding = json!({ "metadata": { "name": name }, "target": target });
        let params = PostParams::default();
        // It may be gone by now.
        let _ = pods.create_subresource::<Value, Value>("binding", &name, &params, &binding).await;
    }
}

/// Tells whether the kubelet or the scheduler has said something of a pod.
fn has_fate(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" || condition.status == "False")
}

fn status_of(fate: Fate) -> Value {
    #[expect(clippy::disallowed_methods, reason = "a kubelet goes by the clock")]
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap();
    if fate == Fate::Unschedulable {
        let words = "0/3 nodes are available: 3 Insufficient cpu.";
        let condition = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": words, "lastTransitionTime": now });
        return json!({ "phase": "Pending", "conditions": [condition] });
    }
    let is_ready = matches!(fate, Fate::Ready | Fate::OutOfMemory);
    let ready = if is_ready { "True" } else { "False" };
    let ended = |reason| json!({ "terminated": { "exitCode": 137, "reason": reason, "finishedAt": now } });
    let mut container = json!({
        "name": "main", "image": "x:1", "imageID": "", "ready": is_ready, "restartCount": 0,
        "started": true, "state": { "running": { "startedAt": now } },
    });
    if fate == Fate::Crash {
        container["restartCount"] = json!(2);
        container["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off" } });
        container["lastState"] = ended("Error");
    }
    if fate == Fate::OutOfMemory {
        container["restartCount"] = json!(1);
        container["lastState"] = ended("OOMKilled");
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
