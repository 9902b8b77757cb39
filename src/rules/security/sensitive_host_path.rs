//! A volume with a directory of the node that gives control over it.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::VolumeContent;

/// A volume with a directory of the node that gives control over it.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("sensitive-host-path"),
    summary: "A volume that gives control over the node, such as a runtime socket",
    docs: "\
## What it does
Reports `hostPath` volumes that hold the socket of a container runtime, or a directory above it; that are `/`, `/etc`,
`/proc`, `/sys`, `/dev`, `/boot`, `/lib`, `/usr` or `/root`; or that are in or above `/var/lib/kubelet`,
`/var/lib/etcd` or `/etc/kubernetes`. Paths are cleaned first, so `/etc/` and `/var/../etc` are found too.

## Why is this bad
With the runtime's socket a container can start a privileged one. With the kubelet's files it has the credentials of
every pod on the node, and with etcd's every Secret of the cluster.

## Example
```yaml
hostPath: {path: /var/run/docker.sock}    # bad
```

## Exceptions
None of these directories is safe to mount. `host-path-volume` reports all other directories.
",
    category: Category::Security,
    severity: Severity::Critical,
    peers: &["kube-linter:sensitive-host-mounts", "kube-linter:docker-sock"],
    check: Check::Pod(check),
    expression: Some(include_str!("sensitive_host_path.cel")),
    ..Rule::BASE
};

/// Directories that must not be mounted themselves.
const EXACT: [&str; 9] = ["/", "/etc", "/proc", "/sys", "/dev", "/boot", "/lib", "/usr", "/root"];
/// Directories of which no part and no parent may be mounted.
const TREES: [&str; 3] = ["/var/lib/kubelet", "/var/lib/etcd", "/etc/kubernetes"];
/// The sockets of container runtimes.
const SOCKETS: [&str; 10] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/var/run/containerd/containerd.sock",
    "/run/containerd/containerd.sock",
    "/var/run/k3s/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/var/run/crio/crio.sock",
    "/run/crio/crio.sock",
    "/var/run/cri-dockerd.sock",
    "/run/cri-dockerd.sock",
];

fn check(context: &Context<'_>, found: &mut Violations) {
    for (index, volume) in context.workload.pod.volumes.iter().enumerate() {
        let VolumeContent::HostPath(source) = &volume.content else { continue };
        let path = clean(&source.path);
        let Some(danger) = danger(&path) else { continue };
        found.about(format_args!("{} {path}", volume.name)).in_object(
            format_args!("{}.volumes[{index}].hostPath.path", context.pod_path()),
            format_args!("volume {} mounts {path}, {danger}: mount nothing of the kind", volume.name),
        );
    }
}

/// Returns the danger of a path; `None` for a path without a special one.
fn danger(path: &str) -> Option<&'static str> {
    let holds = |inner: &str| is_within(inner, path);
    if SOCKETS.iter().any(|socket| holds(socket)) {
        Some("which gives control over the container runtime")
    } else if EXACT.contains(&path) || TREES.iter().any(|tree| holds(tree) || is_within(path, tree)) {
        Some("which gives control over the node")
    } else {
        None
    }
}

/// Returns true if a path is a directory, or is in it.
fn is_within(path: &str, directory: &str) -> bool {
    directory == "/"
        || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Resolves `.`, `..` and repeated slashes of an absolute path.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
