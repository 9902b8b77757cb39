//! A StatefulSet whose governing Service does not give its pods names.

use crate::inventory::Known;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::{Kind, WorkloadKind};

/// A StatefulSet whose governing Service does not give its pods names.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("missing-governing-service"),
    summary: "A StatefulSet whose pods get no names in DNS",
    docs: "\
## What it does
Reports StatefulSets whose `serviceName` is that of a Service that does not exist, is not headless, or does not select
the pods.

## Why is this bad
The pods get no names of their own in DNS, by which they would find each other.

## Example
```yaml
kind: StatefulSet
spec:
  serviceName: db    # bad unless Service db has clusterIP: None and selects the pods
```

## Exceptions
A StatefulSet without `serviceName` is skipped: it is optional. If the input may lack Services, a missing one has an
unknown answer.
",
    category: Category::Networking,
    severity: Severity::Low,
    peers: &["kube-score:statefulset-has-servicename"],
    check: Check::Relation { reads: &[Kind::Template, Kind::Service], check },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for group in inventory.workloads().filter(|group| group.kind() == WorkloadKind::StatefulSet) {
        let Some(name) = group.template().map(|facts| &facts.service_name).filter(|name| !name.is_empty())
        else {
            continue;
        };
        let namespace = &*group.identity.namespace;
        let path = format_args!("spec.serviceName");
        let Some(service) = inventory.find(Kind::Service, namespace, name).and_then(Known::service) else {
            if inventory.is_closed(Kind::Service, namespace) {
                let message = format_args!("there is no Service {name}: create a headless one");
                found.report(&group.identity, path, message);
            } else {
                found.unknown(&group.identity);
            }
            continue;
        };
        if service.cluster_ip != "None" {
            found.report(
                &group.identity,
                path,
                format_args!("Service {name} is not headless: set its clusterIP to None"),
            );
        } else if !service.selects_pods() || !group.matches(&service.selector) {
            found.report(
                &group.identity,
                path,
                format_args!("Service {name} does not select the pods: give it their labels"),
            );
        }
    }
}
