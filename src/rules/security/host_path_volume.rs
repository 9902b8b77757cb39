//! A volume that is a directory of the node.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::VolumeContent;

/// A volume that is a directory of the node.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("host-path-volume"),
    summary: "A volume that is a directory or file of the node",
    docs: "\
## What it does
Reports volumes with `hostPath`, mounted or not.

## Why is this bad
The pod reads files of the node, and of other pods on it. If the mount is writable, it can change them too, and a pod
elsewhere finds other content.

## Example
```yaml
volumes:
- name: logs
  hostPath: {path: /var/log}    # bad
```

## Exceptions
Node agents may need it. Mount it with `readOnly: true` then. The Pod Security level `baseline` refuses the field.
",
    category: Category::Security,
    severity: Severity::High,
    peers: &["polaris:hostPathSet", "kube-linter:writable-host-mount", "pss:hostPathVolumes"],
    check: Check::Pod(check),
    expression: Some(include_str!("host_path_volume.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    for (index, volume) in context.workload.pod.volumes.iter().enumerate() {
        if !volume.has("hostPath") {
            continue;
        }
        let mounts = context.containers().filter(|place| {
            place.container.volume_mounts.iter().any(|mount| mount.name == volume.name && !mount.read_only)
        });
        let writers: Vec<&str> = mounts.map(|place| &*place.container.name).collect();
        let writers = if writers.is_empty() {
            String::new()
        } else {
            format!(", and {} can write to it", writers.join(" and "))
        };
        let path = match &volume.content {
            VolumeContent::HostPath(source) => &source.path,
            _ => "",
        };
        found.about(format_args!("{} {path}", volume.name)).in_object(
            format_args!("{}.volumes[{index}].hostPath", context.pod_path()),
            format_args!(
                "volume {} is a directory of the node{writers}: use another kind of volume",
                volume.name
            ),
        );
    }
}
