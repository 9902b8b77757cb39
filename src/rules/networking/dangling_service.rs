//! A Service that selects no pod.

use crate::inventory::Selected;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// A Service that selects no pod.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("dangling-service"),
    summary: "A Service that selects no pod",
    docs: "\
## What it does
Reports Services whose selector matches no pod and no template of their namespace. A template matches with the labels
that its controller adds, such as `statefulset.kubernetes.io/pod-name`. A workload with zero replicas is no fault.

## Why is this bad
Every connection to the Service fails.

## Example
```yaml
kind: Service
spec:
  selector: {app: wbe}    # bad: no pod has this label
```

## Exceptions
Services without a selector, and those of type ExternalName, are skipped. The answer is unknown if the input may lack
pods or templates, if custom resources in it may make pods, and if the selector would match without a label that no
template carries: such a label may be set while pods run.
",
    category: Category::Networking,
    severity: Severity::High,
    peers: &["kube-score:service-targets-pod", "kube-linter:dangling-service", "popeye:1100"],
    check: Check::Relation { reads: &[Kind::Service, Kind::Pod, Kind::Template], check },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for known in inventory.all(Kind::Service) {
        let Some(service) = known.service().filter(|service| service.selects_pods()) else { continue };
        match inventory.select(&known.identity.namespace, &service.selector) {
            Selected::Pods(_) => {}
            Selected::Unknown => found.unknown(&known.identity),
            Selected::Nothing => found.report(
                &known.identity,
                format_args!("spec.selector"),
                format_args!("the selector matches no pod and no template: use labels that the pods have"),
            ),
        }
    }
}
