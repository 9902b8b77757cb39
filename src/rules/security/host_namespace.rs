//! A pod that shares a namespace of its node.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A pod that shares a namespace of its node.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("host-namespace"),
    summary: "A pod that shares the network, processes or IPC of its node",
    docs: "\
## What it does
Reports pods with `hostNetwork`, `hostPID` or `hostIPC`, one finding for each field.

## Why is this bad
Such a pod sees the traffic, processes or shared memory of everything on its node. NetworkPolicies do not apply to it,
and it can reach services that listen on the node alone.

## Example
```yaml
hostNetwork: true    # bad
```

## Exceptions
Node agents may need one of these fields. The Pod Security level `baseline` refuses them.
",
    category: Category::Security,
    severity: Severity::High,
    peers: &[
        "polaris:hostNetworkSet",
        "polaris:hostPIDSet",
        "polaris:hostIPCSet",
        "kube-linter:host-network",
        "kube-linter:host-pid",
        "kube-linter:host-ipc",
        "pss:hostNamespaces",
    ],
    check: Check::Pod(check),
    expression: Some(include_str!("host_namespace.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let pod = &context.workload.pod;
    let fields = [("hostNetwork", pod.host_network), ("hostPID", pod.host_pid), ("hostIPC", pod.host_ipc)];
    for (field, _) in fields.into_iter().filter(|(_, shared)| *shared) {
        found.about(field).in_object(
            format_args!("{}.{field}", context.pod_path()),
            format_args!("{field} shares a namespace of the node: remove the field"),
        );
    }
}
