//! A Windows container that runs on the node itself.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::SecurityContext;

/// A Windows container that runs on the node itself.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("windows-host-process"),
    summary: "A Windows container that runs as a process of its node",
    docs: "\
## What it does
Reports `windowsOptions.hostProcess: true`, in the pod or in a container.

## Why is this bad
Such a container is no container: its processes run on the node, with its files, network and rights.

## Example
```yaml
windowsOptions: {hostProcess: true}    # bad
```

## Exceptions
Agents that manage Windows nodes may need it. The Pod Security level `baseline` refuses the field.
",
    category: Category::Security,
    severity: Severity::Critical,
    peers: &["polaris:hostProcess", "pss:windowsHostProcess"],
    check: Check::Pod(check),
    expression: Some(include_str!("windows_host_process.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let is_host_process = |own: &SecurityContext<'_>| {
        own.windows_options.as_ref().is_some_and(|options| options.host_process == Some(true))
    };
    let problem = "runs as a process of the node: remove hostProcess";
    if context.pod_security().is_some_and(is_host_process) {
        found.in_object(
            format_args!("{}.securityContext.windowsOptions.hostProcess", context.pod_path()),
            format_args!("{problem}"),
        );
    }
    for place in context.containers() {
        if place.security().is_some_and(is_host_process) {
            found.in_container(
                &place,
                "securityContext.windowsOptions.hostProcess",
                format_args!("{problem}"),
            );
        }
    }
}
