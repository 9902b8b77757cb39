//! A Service with pods, none of which is ready.

use jiff::SignedDuration;

use crate::inventory::{Content, PodGroup, Selected, Standing};
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// The time that the youngest pod has to become ready.
const PATIENCE: SignedDuration = SignedDuration::from_secs(300);

/// A Service with pods, none of which is ready.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("service-without-endpoints"),
    summary: "A Service with pods, none of which is ready",
    docs: "\
## What it does
Reports Services with pods of which no EndpointSlice has an endpoint that is ready or serving. The youngest of the pods is
older than five minutes.

## Why is this bad
Every connection to the Service fails.

## Example
```yaml
kind: EndpointSlice
metadata: {labels: {kubernetes.io/service-name: web}}
endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}]    # bad: the one endpoint is not ready
```

## Exceptions
Services without a selector, those that publish addresses which are not ready, and those whose workloads have zero replicas
are skipped. Rule `dangling-service` reports a Service without a pod. The answer is unknown if the input may lack
EndpointSlices. Manifests have no pods that run.
",
    category: Category::Networking,
    severity: Severity::High,
    peers: &["popeye:1105", "popeye:1110"],
    check: Check::Relation {
        reads: &[Kind::Service, Kind::EndpointSlice, Kind::Pod, Kind::Template],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for known in inventory.all(Kind::Service) {
        let Some(service) = known.service().filter(|service| service.selects_pods()) else { continue };
        if service.publish_not_ready_addresses {
            continue;
        }
        let namespace = &*known.identity.namespace;
        let Selected::Pods(groups) = inventory.select(namespace, &service.selector) else { continue };
        if is_scaled_down(&groups) || !has_old_pods(context, &groups, found) {
            continue;
        }
        let slices = inventory.within(Kind::EndpointSlice, namespace).iter();
        let of_service = slices.filter_map(|slice| match slice.content() {
            Content::EndpointSlice(slice) if slice.service.as_deref() == Some(&*known.identity.name) => {
                Some(slice)
            }
            _ => None,
        });
        let ready: Vec<bool> = of_service.map(|slice| slice.has_ready).collect();
        if ready.contains(&true) {
            continue;
        }
        if ready.is_empty() && !inventory.is_closed(Kind::EndpointSlice, namespace) {
            found.unknown(&known.identity);
            continue;
        }
        found.report(
            &known.identity,
            format_args!("spec.selector"),
            format_args!("no pod behind the Service is ready: see kubectl describe pod"),
        );
    }
}

/// Returns true if there are pods, and all of them had the time to become ready.
fn has_old_pods(context: &Relations<'_>, groups: &[&PodGroup], found: &mut Findings) -> bool {
    let mut pods = groups.iter().filter(|group| !matches!(group.standing, Standing::Template(_))).peekable();
    if pods.peek().is_none() {
        return false;
    }
    let last = pods.filter_map(|group| group.youngest?.checked_add(PATIENCE).ok()).max();
    let until = last.filter(|until| *until > context.now);
    until.inspect(|until| found.recheck_at(*until)).is_none()
}

/// Returns true if every template has zero replicas, so that the pods are about to end.
fn is_scaled_down(groups: &[&PodGroup]) -> bool {
    let mut templates = groups.iter().filter_map(|group| group.template()).peekable();
    templates.peek().is_some() && templates.all(|template| template.replicas == Some(0))
}
