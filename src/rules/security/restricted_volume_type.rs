//! A volume of a kind that mounts storage directly.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A volume of a kind that mounts storage directly.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("restricted-volume-type"),
    summary: "A volume of a kind that mounts storage past the cluster's administrators",
    docs: "\
## What it does
Reports volumes of other kinds than configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim,
projected and secret.

## Why is this bad
A pod that mounts NFS or a cloud disk directly picks the storage itself. A claim leaves that to the cluster's
administrators. Most of these kinds no longer exist in Kubernetes.

## Example
```yaml
volumes:
- name: data
  nfs: {server: example.com, path: /}    # bad: use a persistentVolumeClaim
```

## Exceptions
`hostPath` is reported by `host-path-volume`. A volume without a kind is an emptyDir.
",
    category: Category::Security,
    severity: Severity::Low,
    peers: &["pss:restrictedVolumes"],
    check: Check::Pod(check),
    expression: Some(include_str!("restricted_volume_type.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    for (index, volume) in context.workload.pod.volumes.iter().enumerate() {
        if volume.sources.is_empty() || volume.has("hostPath") || ALLOWED.iter().any(|kind| volume.has(kind))
        {
            continue;
        }
        found.about(format_args!("{} {}", volume.name, volume.sources[0])).in_object(
            format_args!("{}.volumes[{index}].{}", context.pod_path(), volume.sources[0]),
            format_args!("volume {} is of the kind {}: use a claim instead", volume.name, volume.sources[0]),
        );
    }
}

/// The kinds of volumes that the Pod Security level `restricted` accepts:
/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/>.
const ALLOWED: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
