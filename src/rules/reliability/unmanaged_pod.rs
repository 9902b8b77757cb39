//! A pod that nothing replaces.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A pod that nothing replaces.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("unmanaged-pod"),
    summary: "A pod that nothing starts again when its node fails",
    docs: "\
## What it does
Reports pods without a controller whose `restartPolicy` is Always.

## Why is this bad
If the node fails, or if the pod is evicted, nothing makes it anew. A Deployment would.

## Example
```yaml
kind: Pod    # bad: use a Deployment, StatefulSet or Job
```

## Exceptions
Static pods of a node, pods that end, and hooks of Helm and Argo CD are skipped.
",
    category: Category::Reliability,
    severity: Severity::Medium,
    peers: &["popeye:208"],
    check: Check::Workload(check),
    only_pods: true,
    expression: Some(include_str!("unmanaged_pod.cel")),
    ..Rule::BASE
};

/// The annotations of pods that something else starts.
const MADE_ELSEWHERE: [&str; 3] = ["kubernetes.io/config.mirror", "helm.sh/hook", "argocd.argoproj.io/hook"];

fn check(context: &Context<'_>, found: &mut Violations) {
    let workload = context.workload;
    let restarts =
        workload.pod.restart_policy.as_deref().is_none_or(|policy| matches!(policy, "" | "Always"));
    if workload.is_pod()
        && restarts
        && MADE_ELSEWHERE.iter().all(|annotation| workload.metadata.annotation(annotation).is_none())
    {
        found.in_object(
            format_args!("metadata.ownerReferences"),
            format_args!("nothing starts the pod again if its node fails: use a Deployment"),
        );
    }
}
