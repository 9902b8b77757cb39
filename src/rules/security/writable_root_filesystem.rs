//! A container that can change its own files.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A container that can change its own files.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("writable-root-filesystem"),
    summary: "A container that can change the files of its image",
    docs: "\
## What it does
Reports containers and init containers without `readOnlyRootFilesystem: true`.

## Why is this bad
An attacker can add programs to the container or replace its own. Data that is written there is lost with the
container.

## Example
```yaml
securityContext:
  readOnlyRootFilesystem: true    # mount an emptyDir where it has to write
```

## Exceptions
Ephemeral containers, and pods with `os.name: windows`, are skipped. The field exists only in containers.
",
    category: Category::Security,
    severity: Severity::Low,
    peers: &[
        "polaris:notReadOnlyRootFilesystem",
        "kube-score:container-security-context-readonlyrootfilesystem",
        "kube-linter:no-read-only-root-fs",
    ],
    check: Check::Pod(check),
    expression: Some(include_str!("writable_root_filesystem.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    if context.workload.pod.is_windows() {
        return;
    }
    for place in context.declared_containers() {
        if place.security().and_then(|own| own.read_only_root_filesystem) != Some(true) {
            found.in_container(
                &place,
                "securityContext.readOnlyRootFilesystem",
                format_args!("can change its own files: set readOnlyRootFilesystem to true"),
            );
        }
    }
}
