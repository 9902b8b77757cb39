//! A pod that sets a kernel parameter that may reach beyond it.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A pod that sets a kernel parameter that may reach beyond it.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("unsafe-sysctl"),
    summary: "A pod that sets a kernel parameter that is not known to be safe",
    docs: "\
## What it does
Reports `securityContext.sysctls` of a pod, except those that Kubernetes knows to be safe.

## Why is this bad
Most kernel parameters hold for the whole node, so one pod changes them for all. The kubelet refuses to start a pod
with one that its administrator does not allow.

## Example
```yaml
sysctls:
- {name: kernel.msgmax, value: \"65536\"}    # bad
```

## Exceptions
The safe ones are kernel.shm_rmid_forced and those of net.ipv4 that each network namespace has for itself. Names with
slashes are not known to be safe.
",
    category: Category::Security,
    severity: Severity::High,
    peers: &["kube-linter:unsafe-sysctls", "pss:sysctls"],
    check: Check::Pod(check),
    expression: Some(include_str!("unsafe_sysctl.cel")),
    ..Rule::BASE
};

/// The kernel parameters that the Pod Security level `baseline` accepts:
/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/>.
const SAFE: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

fn check(context: &Context<'_>, found: &mut Violations) {
    let sysctls = context.pod_security().into_iter().flat_map(|pod| &pod.sysctls).enumerate();
    for (index, sysctl) in sysctls.filter(|(_, sysctl)| !SAFE.contains(&&*sysctl.name)) {
        found.about(&*sysctl.name).in_object(
            format_args!("{}.securityContext.sysctls[{index}].name", context.pod_path()),
            format_args!("sets the kernel parameter {}: set it on the node instead", sysctl.name),
        );
    }
}
