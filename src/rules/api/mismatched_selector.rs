//! A workload whose selector does not match its own pods.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::{Labels, WorkloadKind};

/// A workload whose selector does not match its own pods.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("mismatched-selector"),
    summary: "A workload whose selector does not match its template",
    docs: "\
## What it does
Reports Deployments, ReplicaSets, StatefulSets and DaemonSets whose selector is absent, or does not match the labels
of their template. It also reports ReplicationControllers, and Jobs with `manualSelector`, whose selector is there and
does not match.

## Why is this bad
The API server refuses such an object.

## Example
```yaml
selector: {matchLabels: {app: web}}
template:
  metadata: {labels: {app: wbe}}    # bad
```

## Exceptions
A Job without `manualSelector` gets its selector from the API server.
",
    category: Category::Api,
    severity: Severity::High,
    peers: &[
        "kube-score:deployment-pod-selector-labels-match-template-metadata-labels",
        "kube-score:statefulset-pod-selector-labels-match-template-metadata-labels",
        "kube-linter:mismatching-selector",
        "popeye:508",
    ],
    check: Check::Workload(check),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    use WorkloadKind::{DaemonSet, Deployment, Job, ReplicaSet, ReplicationController, StatefulSet};

    let workload = context.workload;
    let Some(spec) = &workload.spec else { return };
    let (is_evaluated, is_required) = match workload.kind {
        Deployment | ReplicaSet | StatefulSet | DaemonSet => (true, true),
        ReplicationController => (true, false),
        Job => (spec.manual_selector, true),
        _ => (false, false),
    };
    if !is_evaluated {
        return;
    }
    let none = Labels::default();
    let labels = workload.labels().unwrap_or(&none);
    let path = format_args!("spec.selector");
    match &spec.selector {
        None if is_required => {
            found.in_object(path, format_args!("has no selector: select the labels of the template"));
        }
        Some(selector) if selector.is_empty() && is_required => {
            found.in_object(path, format_args!("has an empty selector: select the labels of the template"));
        }
        Some(selector) if !selector.is_empty() && !selector.matches(labels) => {
            found.in_object(path, format_args!("does not match the labels of the template: make them equal"));
        }
        _ => {}
    }
}
