//! The flags of the servers, with reasons for those that set neither a path nor a port.

use super::layout::Layout;

/// Controllers that would delete pods from under a test that plays the kubelet. There are no nodes: the garbage
/// collector takes a bound pod for an orphan, and the others take its node for lost.
const HOSTILE_TO_PODS: [&str; 4] = [
    "pod-garbage-collector-controller",
    "node-lifecycle-controller",
    "taint-eviction-controller",
    "device-taint-eviction-controller",
];

/// Returns the flags of etcd, which doesn't sync to disk.
pub(super) fn etcd(layout: &Layout) -> Vec<String> {
    let (clients, peers) = (layout.etcd_url(), format!("http://127.0.0.1:{}", layout.peer_port));
    vec![
        format!("--data-dir={}", layout.etcd.join("data").display()),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
        "--unsafe-no-fsync".into(),
        format!("--quota-backend-bytes={}", 8_u64 << 30),
        "--log-level=warn".into(),
    ]
}

/// Returns the flags of the API server.
///
/// - The `ServiceAccount` admission plugin is off, as in envtest: it refuses every pod of a namespace until
///   the controller has made the `default` account there, and mounts a token that no kubelet projects.
/// - Nothing compacts etcd but [`compact_etcd`](super::ControlPlane::compact_etcd), so that a test decides
///   when an old `resourceVersion` is gone.
/// - An audit line is written before its response ends, and the log is never rotated.
/// - No endpoint of the `kubernetes` service: a loopback address is not a valid one.
pub(super) fn api_server(layout: &Layout) -> Vec<String> {
    let file = |name| layout.api_server.join(name).display().to_string();
    vec![
        format!("--etcd-servers={}", layout.etcd_url()),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={}", layout.api_port),
        format!("--cert-dir={}", layout.api_server.display()),
        format!("--tls-cert-file={}", file("tls.crt")),
        format!("--tls-private-key-file={}", file("tls.key")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".into(),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        "--service-cluster-ip-range=10.0.0.0/24".into(),
        "--disable-admission-plugins=ServiceAccount".into(),
        "--endpoint-reconciler-type=none".into(),
        "--etcd-compaction-interval=0".into(),
        "--allow-privileged".into(),
        "--watch-cache=true".into(),
        format!("--audit-policy-file={}", file("audit-policy.json")),
        format!("--audit-log-path={}", layout.audit_log().display()),
        "--audit-log-mode=blocking".into(),
        "--audit-log-maxsize=0".into(),
    ]
}

/// Returns the flags of the controller manager, which serves nothing and uses no leader election.
pub(super) fn controller_manager(layout: &Layout) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", layout.controllers_kubeconfig().display()),
        format!("--service-account-private-key-file={}", layout.api_server.join("accounts.key").display()),
        format!("--root-ca-file={}", layout.api_server.join("tls.crt").display()),
        format!("--controllers=*,-{}", HOSTILE_TO_PODS.join(",-")),
        "--leader-elect=false".into(),
        "--secure-port=0".into(),
        "--kube-api-qps=500".into(),
        "--kube-api-burst=1000".into(),
        "--horizontal-pod-autoscaler-sync-period=1s".into(),
        "--resource-quota-sync-period=5s".into(),
    ]
}
