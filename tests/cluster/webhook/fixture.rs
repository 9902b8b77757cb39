//! A cluster with a policy, and a webhook with exactly its permissions.

use crate::analyze::on;
use crate::control_plane::{ControlPlane, free_port};
use crate::eventually::eventually;
use crate::operator::fixture::plane_with;
use crate::process::Process;
use k8s_openapi::api::core::v1::Service;
use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use kube_devops::manifests::Mode;
use kube_devops::policy::DevOpsPolicy;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name of the Service, which is an external name for this host.
const SERVICE: &str = "kube-devops-webhook";

/// The kinds that are evaluated: version, kind and the path of the pod spec.
pub(super) const KINDS: [(&str, &str, &str); 8] = [
    ("v1", "Pod", "spec"),
    ("apps/v1", "Deployment", "spec.template.spec"),
    ("apps/v1", "StatefulSet", "spec.template.spec"),
    ("apps/v1", "DaemonSet", "spec.template.spec"),
    ("apps/v1", "ReplicaSet", "spec.template.spec"),
    ("v1", "ReplicationController", "spec.template.spec"),
    ("batch/v1", "Job", "spec.template.spec"),
    ("batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec"),
];

/// Returns an object of a kind with one container of this image.
pub(super) fn object(api_version: &str, kind: &str, name: &str, image: &str) -> Value {
    let mut pod = json!({ "containers": [{ "name": "web", "image": image }] });
    if kind.ends_with("Job") {
        pod["restartPolicy"] = json!("Never");
    }
    let labels = json!({ "app": name });
    let template = json!({ "metadata": { "labels": labels }, "spec": pod });
    let spec = match kind {
        "Pod" => pod,
        "Job" => json!({ "template": template }),
        "CronJob" => json!({ "schedule": "0 0 1 1 *", "jobTemplate": { "spec": { "template": template } } }),
        "ReplicationController" => json!({ "replicas": 0, "selector": labels, "template": template }),
        "DaemonSet" => json!({ "selector": { "matchLabels": labels }, "template": template }),
        _ => json!({ "replicas": 0, "selector": { "matchLabels": labels }, "template": template }),
    };
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name }, "spec": spec })
}

pub(crate) struct WebhookFixture {
    pub(super) plane: ControlPlane,
    pub(super) client: Client,
    /// The namespace of the webhook.
    pub(super) home: String,
    /// The namespace of the policy.
    pub(super) shop: String,
    /// The port of the webhook, for all replicas or for what stands before them.
    pub(super) port: u16,
    account: PathBuf,
}

impl WebhookFixture {
    /// Starts a control plane with a policy that denies images without a version and warns about missing readiness
    /// probes.
    pub(crate) async fn new() -> Self {
        let plane = plane_with(&[]);
        let client = plane.client().await;
        let (home, shop) = (plane.namespace("webhook"), plane.namespace("shop"));
        let account = plane.operator_account(&home, Mode::Webhook).await;
        let service = json!({
            "metadata": { "name": SERVICE }, "spec": { "type": "ExternalName", "externalName": "localhost" },
        });
        let service: Service = serde_json::from_value(service).unwrap();
        Api::namespaced(client.clone(), &home).create(&PostParams::default(), &service).await.unwrap();
        let policy: DevOpsPolicy = serde_json::from_value(json!({
            "metadata": { "name": "baseline" },
            "spec": {
                "enforcementMode": "enforce", "forbidLatestTag": true, "requireReadinessProbe": true,
                "admission": { "denyAt": "high" },
            },
        }))
        .unwrap();
        Api::namespaced(client.clone(), &shop).create(&PostParams::default(), &policy).await.unwrap();
        let port = free_port().unwrap();
        Self { plane, client, home, shop, port, account }
    }

    /// Starts a replica on the port of the fixture, and waits until it is ready.
    pub(crate) fn replica(&self, flags: &[&str]) -> Process {
        self.replica_on(self.port, "webhook-0", flags)
    }

    /// Starts a replica on a port, and waits until it is ready.
    pub(super) fn replica_on(&self, port: u16, pod: &str, flags: &[&str]) -> Process {
        let listen = format!("127.0.0.1:{port}");
        let mut arguments =
            vec!["--secure-listen", &listen, "--lease-namespace", &self.home, "--tls-name", "127.0.0.1"];
        arguments.extend(["--certificate-interval", "100ms"]);
        arguments.extend(flags);
        Process::start("webhook serve", &self.account, pod, &arguments).synced()
    }

    /// Runs `kube-devops webhook` with an administrator's kubeconfig. Returns exit code, stdout and stderr.
    pub(super) fn webhook(&self, arguments: &[&str]) -> (i32, String, String) {
        let outcome = on(self.plane.kubeconfig(), &[&["webhook"], arguments].concat());
        (outcome.code, outcome.stdout, outcome.stderr)
    }

    /// Registers the webhook by its Service, and waits until the API server calls it.
    pub(super) async fn install_by_service(&self) {
        let port = self.port.to_string();
        let (code, _, stderr) = self.webhook(&["install-config", "-n", &self.home, "--service-port", &port]);
        assert_eq!(code, 0, "{stderr}");
        self.until_denied().await;
    }

    /// Registers the webhook by its URL, and waits until the API server calls it.
    pub(super) async fn install_by_url(&self) {
        let url = format!("https://127.0.0.1:{}", self.port);
        let (code, _, stderr) = self.webhook(&["install-config", "-n", &self.home, "--url", &url]);
        assert_eq!(code, 0, "{stderr}");
        self.until_denied().await;
    }

    pub(super) async fn until_denied(&self) {
        eventually("a denial by the webhook", async || {
            matches!(self.create("Pod", "nginx").await, Err(kube::Error::Api(status)) if status.code == 403)
                .then_some(())
        })
        .await;
    }

    /// Creates an object in a dry run.
    pub(super) async fn create(&self, kind: &str, image: &str) -> kube::Result<()> {
        let (api_version, ..) = KINDS.into_iter().find(|(_, known, _)| *known == kind).unwrap();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.shop, &resource);
        let params = PostParams { dry_run: true, ..PostParams::default() };
        let object = object(api_version, kind, "web", image);
        api.create(&params, &serde_json::from_value(object).unwrap()).await.map(drop)
    }

    /// Runs kubectl in the namespace of the policy. Returns its success and its stderr.
    pub(super) fn kubectl(&self, arguments: &[&str], stdin: &Value) -> (bool, String) {
        self.kubectl_in(&self.shop, arguments, stdin)
    }

    /// Runs kubectl in a namespace. Returns its success and its stderr.
    pub(super) fn kubectl_in(&self, namespace: &str, arguments: &[&str], stdin: &Value) -> (bool, String) {
        kubectl(self.plane.kubeconfig(), namespace, arguments, stdin)
    }
}

fn kubectl(kubeconfig: &Path, namespace: &str, arguments: &[&str], stdin: &Value) -> (bool, String) {
    let mut child = Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["-n", namespace])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl");
    child.stdin.take().unwrap().write_all(stdin.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}
