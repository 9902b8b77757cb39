//! A namespace with workloads, an enforcing operator, and a task that plays the kubelet.

use crate::control_plane::{AuditEvent, ControlPlane, Mark};
use crate::eventually::{eventually, within};
use crate::kubelet::set_pod_status;
use crate::operator::fixture::{OperatorFixture, plane, plane_with};
use crate::process::Process;
use futures::StreamExt;
use futures::future::select_all;
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

/// The state that a test gives a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PodState {
    /// It runs and is ready.
    Ready,
    /// It starts, but is never ready.
    Stuck,
    /// Its container crashes repeatedly.
    Crash,
    /// Its container was OOM-killed once and runs again.
    OutOfMemory,
    /// The scheduler finds no node for it.
    Unschedulable,
}

/// The environment of a test.
pub(crate) struct EnforcementFixture {
    pub(crate) base: OperatorFixture<'static>,
    pub(crate) namespace: String,
    /// The operator that many tests share.
    operator: Option<&'static Process>,
    _kubelet: Kubelet,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// The task that plays the kubelet. It ends with its fixture.
struct Kubelet(JoinHandle<()>);

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A policy that sets probes, with the shortest allowed verification.
pub(crate) const PROBES: &str = "{requireLivenessProbe: true, requireReadinessProbe: true, enforcementMode: enforce, \
     remediation: {verifySeconds: 30}}";
/// A policy that adds probes, also if a rollout may leave no pod available.
pub(crate) const PROBES_WITH_DOWNTIME: &str = "{requireLivenessProbe: true, requireReadinessProbe: true, \
     enforcementMode: enforce, remediation: {verifySeconds: 30, allowDowntime: true}}";
/// A policy that sets requests and a memory limit.
pub(crate) const RESOURCES: &str = "{defaultResources: {cpuRequest: 10m, memoryRequest: 16Mi, memoryLimit: 32Mi}, \
     enforcementMode: enforce, remediation: {verifySeconds: 30}}";
/// The time for which these policies verify a patch.
pub(crate) const VERIFY: Duration = Duration::from_secs(30);

impl EnforcementFixture {
    /// A fixture for a test that starts its own operators. They enforce in the whole cluster, so each control plane runs
    /// only one such test at a time.
    pub(crate) async fn alone(pod_state: fn(&Pod) -> PodState) -> Self {
        static PLANES: [(OnceLock<ControlPlane>, Mutex<()>); 3] =
            [const { (OnceLock::new(), Mutex::const_new(())) }; 3];
        let turns = PLANES.iter().map(|(_, turn)| Box::pin(turn.lock()));
        let (turn, index, _) = select_all(turns).await;
        let base = OperatorFixture::of(PLANES[index].0.get_or_init(plane), Mode::Enforce).await;
        base.without_policies().await;
        Self { _turn: Some(turn), ..Self::on(base, pod_state) }
    }

    /// A fixture on its own control plane, for tests that affect the whole cluster.
    pub(crate) async fn apart(pod_state: fn(&Pod) -> PodState) -> Self {
        Self::apart_with(&[], pod_state).await
    }

    /// Returns a fixture like [`EnforcementFixture::apart`], whose API server has additional flags.
    pub(crate) async fn apart_with(flags: &[&str], pod_state: fn(&Pod) -> PodState) -> Self {
        // It ends with the process, like the shared ones.
        let plane = Box::leak(Box::new(plane_with(flags)));
        Self::on(OperatorFixture::of(plane, Mode::Enforce).await, pod_state)
    }

    /// A fixture in a new namespace on a control plane and with an operator that many tests share.
    pub(crate) async fn shared(pod_state: fn(&Pod) -> PodState) -> Self {
        static SHARED: OnceCell<(OperatorFixture<'static>, Process)> = OnceCell::const_new();
        static PLANE: OnceLock<ControlPlane> = OnceLock::new();
        let set = async || {
            let base = OperatorFixture::of(PLANE.get_or_init(plane), Mode::Enforce).await;
            // Other tests cover the budgets of the cluster.
            let operator = base.replica("operator-0", &["--max-rollouts", "100", "--max-per-hour", "10000"]);
            operator.wait_until_ready();
            (base, operator)
        };
        let (base, operator) = SHARED.get_or_init(set).await;
        Self { operator: Some(operator), ..Self::on(base.once_more().await, pod_state) }
    }

    /// Returns a fixture in another namespace of the same cluster.
    pub(crate) async fn beside(&self, pod_state: fn(&Pod) -> PodState) -> Self {
        Self { operator: self.operator, ..Self::on(self.base.once_more().await, pod_state) }
    }

    /// Returns a fixture in an existing namespace of the same cluster.
    pub(crate) async fn in_namespace(&self, namespace: String, pod_state: fn(&Pod) -> PodState) -> Self {
        Self::of(self.base.once_more().await, namespace, pod_state)
    }

    fn on(base: OperatorFixture<'static>, pod_state: fn(&Pod) -> PodState) -> Self {
        let namespace = base.plane.namespace("fixture");
        Self::of(base, namespace, pod_state)
    }

    fn of(base: OperatorFixture<'static>, namespace: String, pod_state: fn(&Pod) -> PodState) -> Self {
        let kubelet = Kubelet(tokio::spawn(kubelet(base.client.clone(), namespace.clone(), pod_state)));
        Self { base, namespace, operator: None, _kubelet: kubelet, _turn: None }
    }

    /// Returns a metric of the shared operator, which includes the activity of other tests.
    pub(crate) fn metric(&self, sample: &str) -> f64 {
        self.operator.and_then(|operator| operator.metric(sample)).unwrap_or_default()
    }

    pub(crate) fn api(&self, kind: &str) -> Api<DynamicObject> {
        workloads(&self.base.client, &self.namespace, kind)
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

    /// Creates a workload and waits until all of its pods are available.
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

    /// Waits for a pod that satisfies `is` and has got its state. Returns its name.
    pub(crate) async fn pod(&self, what: &str, is: impl Fn(&Pod) -> bool) -> String {
        let pods = self.base.pods(&self.namespace);
        eventually(what, async || {
            let pods = pods.list(&ListParams::default()).await.unwrap().items;
            let mut known =
                pods.iter().filter(|pod| has_pod_state(pod) && pod.metadata.deletion_timestamp.is_none());
            known.find(|pod| is(pod)).map(ResourceExt::name_any)
        })
        .await
    }

    /// Sets the state of a pod.
    pub(crate) async fn set_pod_state(&self, pod: &str, pod_state: PodState) {
        set_pod_status(&self.base.client, &self.namespace, pod, &status_of(pod_state)).await;
    }

    /// Changes a workload as the field manager `who`.
    pub(crate) async fn edit(&self, kind: &str, name: &str, who: &str, change: &Value) {
        let params = PatchParams { field_manager: Some(who.to_owned()), ..PatchParams::default() };
        self.api(kind).patch(name, &params, &Patch::Strategic(change)).await.unwrap();
    }

    /// Creates a ready node and returns its name. No other fixture uses its label.
    pub(crate) async fn node(&self, name: &str) -> String {
        let nodes = Api::<Node>::all(self.base.client.clone());
        let name = format!("{}-{name}", self.namespace);
        let node = json!({ "metadata": { "name": name, "labels": { "fixture": self.namespace } } });
        nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
        let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
        nodes.patch_status(&name, &PatchParams::default(), &Patch::Merge(ready)).await.unwrap();
        // The API server taints each new node. The controller that would remove the taint doesn't run.
        let untainted = Patch::Merge(json!({ "spec": { "taints": null } }));
        nodes.patch(&name, &PatchParams::default(), &untainted).await.unwrap();
        name
    }

    pub(crate) async fn get(&self, kind: &str, name: &str) -> DynamicObject {
        self.api(kind).get(name).await.unwrap()
    }

    /// Returns the first container of a workload's template.
    pub(crate) async fn container(&self, kind: &str, name: &str) -> Value {
        self.get(kind, name).await.data["spec"]["template"]["spec"]["containers"][0].clone()
    }

    pub(crate) async fn policy(&self, name: &str, spec: &str) -> DevOpsPolicy {
        self.base.policy(&self.namespace, name, spec).await
    }

    /// Changes the spec of a policy.
    pub(crate) async fn change_policy(&self, name: &str, spec: Value) {
        let merge = Patch::Merge(json!({ "spec": spec }));
        self.base.policies(&self.namespace).patch(name, &PatchParams::default(), &merge).await.unwrap();
    }

    /// Deletes a policy. It remains until its finalizer is removed.
    pub(crate) async fn delete_policy(&self, name: &str) {
        let policies = self.base.policies(&self.namespace);
        policies.delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub(crate) async fn until_policy_is_gone(&self, name: &str) {
        let policies = self.base.policies(&self.namespace);
        eventually("the policy is gone", async || {
            policies.get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    /// Waits until a condition of a policy has this reason and its message contains these words.
    pub(crate) async fn until_condition(&self, policy: &str, type_: &str, reason: &str, words: &str) {
        let what = format!("{type_}: {reason}: {words}");
        let is = |status: &DevOpsPolicyStatus| {
            let mut conditions = status.conditions.iter().filter(|condition| condition.type_ == type_);
            conditions.any(|condition| condition.reason == reason && condition.message.contains(words))
        };
        self.base.until(&self.namespace, policy, &what, is).await;
    }

    /// Waits for an event about a policy.
    pub(crate) async fn until_event(&self, policy: &str, reason: &str, words: &str) {
        eventually(&format!("{reason}: {words}"), async || {
            let events = self.base.events(&self.namespace, policy).await;
            events.into_iter().find(|(_, told, _, note)| told == reason && note.contains(words))
        })
        .await;
    }

    pub(crate) async fn status(&self, policy: &str) -> DevOpsPolicyStatus {
        let policy = self.base.policies(&self.namespace).get(policy).await.unwrap();
        policy.status.unwrap_or_default()
    }

    /// Sets the records of a policy, as an operator that was killed leaves them.
    pub(crate) async fn set_records(&self, policy: &str, records: &[Remediation]) {
        let status = Patch::Merge(json!({ "status": { "remediations": records } }));
        let policies = self.base.policies(&self.namespace);
        policies.patch_status(policy, &PatchParams::default(), &status).await.unwrap();
    }

    /// Waits until a workload's record is in a phase. A patch whose pods crash is withdrawn within milliseconds, so a poll
    /// may miss that it was applied.
    pub(crate) async fn until(&self, policy: &str, workload: &str, phase: RemediationPhase) -> Remediation {
        self.until_record(policy, workload, &format!("{phase:?}"), |record| record.phase == phase).await
    }

    /// Waits until a workload's patch has been withdrawn this number of times.
    pub(crate) async fn until_withdrawn(&self, policy: &str, workload: &str, times: u32) -> Remediation {
        let is = |record: &Remediation| {
            record.phase == RemediationPhase::Withdrawn && record.withdrawals == Some(times)
        };
        self.until_record(policy, workload, &format!("withdrawn {times} times"), is).await
    }

    /// Waits for a record of a workload. The limit is the time of the rollout plus a minute.
    async fn until_record(
        &self,
        policy: &str,
        workload: &str,
        what: &str,
        is: impl Fn(&Remediation) -> bool,
    ) -> Remediation {
        within(Duration::from_mins(3), &format!("{workload} is {what}"), async || {
            let status = self.status(policy).await;
            let mut records = status.remediations.into_iter();
            records.find(|record| record.workload().to_string() == workload && is(record))
        })
        .await
    }

    /// Asserts for a while that a workload's record stays in its phase.
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
            let record = records.find(|record| record.workload().to_string() == workload);
            assert_eq!(record.map(|record| record.phase), Some(phase), "{record:?}");
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Counts the operator's writes to a workload since a mark.
    pub(crate) fn patches_since(&self, mark: Mark, name: &str) -> usize {
        self.workload_writes_since(mark)
            .iter()
            .filter(|event| event.name == name && event.verb == "patch")
            .count()
    }

    /// Counts the operator's attempts to write a workload since a mark.
    pub(crate) fn attempts_since(&self, mark: Mark, name: &str) -> usize {
        self.attempted_since(mark).iter().filter(|event| event.name == name && event.verb == "patch").count()
    }

    /// Returns the operator's writes to workloads of the fixture since a mark. Refused requests, such as conflicts, are
    /// no writes.
    pub(crate) fn workload_writes_since(&self, mark: Mark) -> Vec<AuditEvent> {
        let mut writes = self.attempted_since(mark);
        writes.retain(|event| event.code < 300);
        writes
    }

    fn attempted_since(&self, mark: Mark) -> Vec<AuditEvent> {
        let mut writes = self.base.writes_since(mark);
        writes.retain(|event| event.group == "apps" && event.namespace == self.namespace);
        writes
    }
}

/// Returns the API for the workloads of a kind.
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

/// Returns a workload with one container that declares port 8080.
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

/// Returns the template of a workload.
pub(crate) fn template(object: &DynamicObject) -> &Value {
    &object.data["spec"]["template"]
}

/// Returns true if enforcement owns any field of a workload.
pub(crate) fn is_marked(object: &DynamicObject) -> bool {
    let mut entries = object.metadata.managed_fields.iter().flatten();
    entries.any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER))
}

/// Returns true if a pod has the probes that enforcement sets.
pub(crate) fn is_patched(pod: &Pod) -> bool {
    let container = pod.spec.as_ref().map(|spec| &spec.containers[0]);
    container.is_some_and(|container| container.liveness_probe.is_some())
}

/// Returns true if a pod has the requests that enforcement sets.
pub(crate) fn has_requests(pod: &Pod) -> bool {
    let container = pod.spec.as_ref().map(|spec| &spec.containers[0]);
    let resources = container.and_then(|container| container.resources.as_ref());
    resources.is_some_and(|resources| resources.requests.is_some())
}

/// Sets the state of each pod once, and binds the pods of a `DaemonSet` to their nodes.
async fn kubelet(client: Client, namespace: String, pod_state: fn(&Pod) -> PodState) {
    let pods = Api::<Pod>::namespaced(client, &namespace);
    let mut known = HashSet::new();
    let mut seen =
        pin!(watcher(pods.clone(), watcher::Config::default()).default_backoff().applied_objects());
    while let Some(pod) = seen.next().await {
        // The watcher restarts an interrupted watch.
        let Ok(pod) = pod else { continue };
        let uid = pod.uid().unwrap_or_default();
        if known.contains(&uid) || pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        bind(&pods, &pod).await;
        let status = Patch::Merge(json!({ "status": status_of(pod_state(&pod)) }));
        // The pod may be gone by now. After an outage of the API server, the watch delivers it again.
        if pods.patch_status(&pod.name_any(), &PatchParams::default(), &status).await.is_ok() {
            known.insert(uid);
        }
    }
}

/// Binds the pod of a `DaemonSet` to its node, as the scheduler does.
async fn bind(pods: &Api<Pod>, pod: &Pod) {
    let spec = serde_json::to_value(&pod.spec).unwrap();
    let terms = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let node = spec.pointer(&format!("{terms}/0/matchFields/0/values/0"));
    if let (Some(node), None) = (node, spec.get("nodeName")) {
        let name = pod.name_any();
        let target = json!({ "apiVersion": "v1", "kind": "Node", "name": node });
        let binding = json!({ "metadata": { "name": name }, "target": target });
        let params = PostParams::default();
        // The pod may be gone by now.
        let _ = pods.create_subresource::<Value, Value>("binding", &name, &params, &binding).await;
    }
}

/// Returns true if the kubelet or the scheduler has set the pod's status.
fn has_pod_state(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" || condition.status == "False")
}

fn status_of(pod_state: PodState) -> Value {
    #[expect(clippy::disallowed_methods, reason = "a kubelet goes by the clock")]
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap();
    if pod_state == PodState::Unschedulable {
        let words = "0/3 nodes are available: 3 Insufficient cpu.";
        let condition = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": words, "lastTransitionTime": now });
        return json!({ "phase": "Pending", "conditions": [condition] });
    }
    let is_ready = matches!(pod_state, PodState::Ready | PodState::OutOfMemory);
    let ready = if is_ready { "True" } else { "False" };
    let ended = |reason| json!({ "terminated": { "exitCode": 137, "reason": reason, "finishedAt": now } });
    let mut container = json!({
        "name": "main", "image": "x:1", "imageID": "", "ready": is_ready, "restartCount": 0,
        "started": true, "state": { "running": { "startedAt": now } },
    });
    if pod_state == PodState::Crash {
        container["restartCount"] = json!(2);
        container["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off" } });
        container["lastState"] = ended("Error");
    }
    if pod_state == PodState::OutOfMemory {
        container["restartCount"] = json!(1);
        container["lastState"] = ended("OOMKilled");
    }
    json!({
        "phase": "Running",
        "startTime": now,
        "conditions": [
            { "type": "Ready", "status": ready, "lastTransitionTime": now },
            { "type": "ContainersReady", "status": ready, "lastTransitionTime": now },
        ],
        "containerStatuses": [container],
    })
}
