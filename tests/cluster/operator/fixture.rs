//! A cluster for the operator: its account with exactly its permissions, policies, pods and results.

use crate::analyze::on;
use crate::control_plane::{AuditEvent, ControlPlane, Mark, client_of};
use crate::eventually::eventually;
use crate::kubelet::{ready, set_pod_status};
use crate::process::Process;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use kube_devops::manifests::{Mode, RECONCILE_LEASE};
use kube_devops::policy::{DevOpsPolicy, DevOpsPolicyStatus, PolicyAuditResult};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::OnceLock;
use tokio::sync::{Mutex, MutexGuard};

/// Returns a pod in which the tests' rules object to nothing but the image.
pub(crate) fn pod(name: &str, image: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "main", "image": image }] } })
}

/// The environment of an operator.
pub(crate) struct OperatorFixture<'p> {
    pub(crate) plane: &'p ControlPlane,
    pub(crate) client: Client,
    /// The namespace of the operator's Lease.
    pub(crate) home: String,
    pub(crate) user: String,
    kubeconfig: PathBuf,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl OperatorFixture<'static> {
    /// Returns a fixture on the control plane that these tests share. Only one is in use at a time, because an operator
    /// covers the whole cluster.
    pub(crate) async fn shared() -> Self {
        Self::shared_as(Mode::Reconcile).await
    }

    /// Returns a fixture on the shared control plane, whose operator has the permissions of a mode.
    pub(crate) async fn shared_as(mode: Mode) -> Self {
        static PLANE: OnceLock<ControlPlane> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let plane = PLANE.get_or_init(plane);
        Self { _turn: Some(turn), ..OperatorFixture::of(plane, mode).await }
    }
}

/// Starts a control plane with the CRDs and the admission policies installed.
pub(crate) fn plane() -> ControlPlane {
    let plane = plane_with(&[]);
    let outcome = on(plane.kubeconfig(), &["policy", "compile", "--apply"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    plane
}

/// Starts a control plane with the CRDs installed and additional flags of the API server.
pub(crate) fn plane_with(flags: &[&str]) -> ControlPlane {
    let plane = ControlPlane::start_with(flags);
    let outcome = on(plane.kubeconfig(), &["crd", "install"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    // The first list of a kind lets the API server fill its cache. It refuses watches until then.
    let outcome = on(plane.kubeconfig(), &["policy", "export", "-A"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    plane
}

impl<'p> OperatorFixture<'p> {
    /// Creates a fixture with its own operator account, which may audit.
    pub(crate) async fn on(plane: &'p ControlPlane) -> Self {
        Self::of(plane, Mode::Reconcile).await
    }

    /// Creates a fixture with its own operator account, which has the permissions of a mode.
    pub(crate) async fn of(plane: &'p ControlPlane, mode: Mode) -> Self {
        let client = plane.client().await;
        let home = plane.namespace("operator");
        let kubeconfig = plane.operator_account(&home, mode).await;
        let user = format!("system:serviceaccount:{home}:{RECONCILE_LEASE}");
        Self { plane, client, home, user, kubeconfig, _turn: None }
    }

    /// Returns the same fixture with a client for the runtime of another test.
    pub(crate) async fn once_more(&self) -> Self {
        let (home, user, kubeconfig) = (self.home.clone(), self.user.clone(), self.kubeconfig.clone());
        Self { plane: self.plane, client: self.plane.client().await, home, user, kubeconfig, _turn: None }
    }

    /// Returns a client of the operator's account.
    pub(crate) async fn account_client(&self) -> Client {
        client_of(&self.kubeconfig).await
    }

    /// Revokes a cluster-wide permission of the operator's account and waits until that is in effect.
    pub(crate) async fn forbid(&self, verb: &str, group: &str, resource: &str) {
        let roles = Api::<ClusterRole>::all(self.client.clone());
        let name = format!("{}-{RECONCILE_LEASE}", self.home);
        let mut role = roles.get(&name).await.unwrap();
        let mut left = Vec::new();
        for mut rule in role.rules.take().into_iter().flatten() {
            // The other resources of the rule keep the verb.
            if rule.resources.iter().flatten().any(|named| named == resource) {
                let mut own = rule.clone();
                own.resources = Some(vec![resource.to_owned()]);
                own.verbs.retain(|allowed| allowed != verb);
                left.push(own);
                rule.resources.iter_mut().for_each(|named| named.retain(|named| named != resource));
            }
            left.push(rule);
        }
        left.retain(|rule: &PolicyRule| {
            !rule.verbs.is_empty() && rule.resources.as_ref().is_none_or(|named| !named.is_empty())
        });
        role.rules = Some(left);
        roles.replace(&name, &PostParams::default(), &role).await.unwrap();
        let attributes =
            json!({ "group": group, "resource": resource, "verb": verb, "namespace": self.home });
        let spec = json!({ "user": self.user, "resourceAttributes": attributes });
        let review: SubjectAccessReview =
            serde_json::from_value(json!({ "metadata": {}, "spec": spec })).unwrap();
        let reviews = Api::<SubjectAccessReview>::all(self.client.clone());
        eventually("the permission is revoked", async || {
            let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
            answer.status.filter(|status| !status.allowed)
        })
        .await;
    }

    /// Starts a replica and waits until its first lists are complete.
    pub(crate) fn operator(&self) -> Process {
        let operator = self.replica("operator-0", &[]);
        operator.wait_until_ready();
        operator
    }

    /// Starts a replica with additional flags.
    pub(crate) fn replica(&self, name: &str, flags: &[&str]) -> Process {
        let arguments = [&["--lease-namespace", &self.home, "--most-settling", "30s"], flags].concat();
        Process::spawn("reconcile", &self.kubeconfig, name, &arguments)
    }

    pub(crate) fn policies(&self, namespace: &str) -> Api<DevOpsPolicy> {
        Api::namespaced(self.client.clone(), namespace)
    }

    pub(crate) fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Creates a policy from its spec in YAML.
    pub(crate) async fn policy(&self, namespace: &str, name: &str, spec: &str) -> DevOpsPolicy {
        let spec: Value = yaml_serde::from_str(spec).unwrap();
        let policy = serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec })).unwrap();
        self.policies(namespace).create(&PostParams::default(), &policy).await.unwrap()
    }

    /// Deletes the policies of other tests in the whole cluster while no operator runs.
    pub(crate) async fn without_policies(&self) {
        let all = Api::<DevOpsPolicy>::all(self.client.clone()).list(&ListParams::default()).await.unwrap();
        for policy in all {
            let (policies, name) = (self.policies(&policy.namespace().unwrap()), policy.name_any());
            let released = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
            policies.patch(&name, &PatchParams::default(), &released).await.unwrap();
            // A policy that was already being deleted may be gone.
            let _ = policies.delete(&name, &DeleteParams::default()).await;
        }
    }

    /// Creates a running pod.
    pub(crate) async fn run(&self, namespace: &str, pod: &Value) {
        let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
        self.pods(namespace).create(&PostParams::default(), &pod).await.unwrap();
        set_pod_status(&self.client, namespace, &pod.name_any(), &ready()).await;
    }

    /// Waits until the status of a policy satisfies `is`, and returns the policy.
    pub(crate) async fn until(
        &self,
        namespace: &str,
        name: &str,
        what: &str,
        mut is: impl FnMut(&DevOpsPolicyStatus) -> bool,
    ) -> DevOpsPolicy {
        eventually(what, async || {
            let policy = self.policies(namespace).get(name).await.ok()?;
            policy.status.as_ref().is_some_and(&mut is).then_some(policy)
        })
        .await
    }

    /// Returns the audit results of a policy in their order.
    pub(crate) async fn results(&self, namespace: &str, policy: &str) -> Vec<PolicyAuditResult> {
        let results = Api::<PolicyAuditResult>::namespaced(self.client.clone(), namespace);
        let mut results = results.list(&ListParams::default()).await.unwrap().items;
        results.retain(|result| result.spec.policy_name == policy);
        results.sort_by_key(|result| {
            result.annotations()["devops.stochastic.io/sequence"].parse::<u64>().unwrap()
        });
        results
    }

    /// Returns the events about a policy: type, reason, count and note.
    pub(crate) async fn events(&self, namespace: &str, policy: &str) -> Vec<(String, String, i32, String)> {
        self.events_about(namespace, "DevOpsPolicy", policy).await
    }

    /// Returns the events about an object: type, reason, count and note.
    pub(crate) async fn events_about(
        &self,
        namespace: &str,
        kind: &str,
        name: &str,
    ) -> Vec<(String, String, i32, String)> {
        let events = Api::<Event>::namespaced(self.client.clone(), namespace);
        let mut events = events.list(&ListParams::default()).await.unwrap().items;
        events.retain(|event| {
            let about = event.regarding.clone().unwrap_or_default();
            about.kind.as_deref() == Some(kind) && about.name.as_deref() == Some(name)
        });
        events.sort_by_key(|event| event.event_time.clone());
        let told = events.into_iter().map(|event| {
            let count = event.series.map_or(1, |series| series.count);
            (event.type_.unwrap(), event.reason.unwrap(), count, event.note.unwrap_or_default())
        });
        told.collect()
    }

    /// Returns the operator's writes since a mark, except for those to its Lease.
    pub(crate) fn writes_since(&self, mark: Mark) -> Vec<AuditEvent> {
        let reads = ["get", "list", "watch"];
        let mut requests = self.plane.requests_since(mark);
        requests.retain(|event| {
            event.by(&self.user) && event.resource != "leases" && !reads.contains(&event.verb.as_str())
        });
        requests
    }

    /// Creates a namespace of this exact name.
    pub(crate) async fn namespace_named(&self, name: &str) {
        let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
        Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    }
}
