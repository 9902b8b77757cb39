//! Replicas that may all run on one node.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::{Labels, WorkloadKind};

/// Replicas that may all run on one node.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("colocated-replicas"),
    summary: "Replicas that nothing keeps on different nodes",
    docs: "\
## What it does
Reports workloads with two or more `replicas`, without pod anti-affinity, and without a topology spread constraint
over hosts, zones or regions that counts their pods.

## Why is this bad
If all replicas are on one node, its failure ends the service.

## Example
```yaml
topologySpreadConstraints:
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector: {matchLabels: {app: web}}
```

## Exceptions
DaemonSets and Jobs are skipped. The number is `replicas`, not that of an autoscaler: an object of its own has to be
readable by itself, in admission too. The scheduler spreads the pods of a workload anyway where it can, which is why the
severity is low.
",
    category: Category::Reliability,
    severity: Severity::Low,
    peers: &[
        "polaris:topologySpreadConstraint",
        "kube-score:deployment-has-host-podantiaffinity",
        "kube-score:statefulset-has-host-podantiaffinity",
        "kube-linter:no-anti-affinity",
    ],
    check: Check::Workload(check),
    expression: Some(include_str!("colocated_replicas.cel")),
    ..Rule::BASE
};

/// The usual topologies for spreading.
const TOPOLOGIES: [&str; 3] =
    ["kubernetes.io/hostname", "topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

fn check(context: &Context<'_>, found: &mut Violations) {
    let workload = context.workload;
    let replicas = workload.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let spread = matches!(
        workload.kind,
        WorkloadKind::Deployment
            | WorkloadKind::StatefulSet
            | WorkloadKind::ReplicaSet
            | WorkloadKind::Rollout
    );
    if !spread || replicas < 2 {
        return;
    }
    let pod = &workload.pod;
    let none = Labels::default();
    let labels = workload.labels().unwrap_or(&none);
    let has_anti_affinity = pod.affinity.is_some_and(|affinity| affinity.pod_anti_affinity.is_some());
    let is_spread = pod.topology_spread_constraints.iter().any(|constraint| {
        TOPOLOGIES.contains(&&*constraint.topology_key)
            && constraint.label_selector.as_ref().is_some_and(|selector| selector.matches(labels))
    });
    if !has_anti_affinity && !is_spread {
        found.in_object(
            format_args!("{}.topologySpreadConstraints", context.pod_path()),
            format_args!("nothing keeps the {replicas} replicas on different nodes: add a constraint"),
        );
    }
}
