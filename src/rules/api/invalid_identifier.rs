//! A label or port that the API server refuses.

use std::ops::RangeInclusive;

use crate::inventory::{Content, TargetPort};
use crate::rules::{
    Category, Check, ContainerPlace, Context, ObjectContext, Rule, RuleId, Severity, Violations,
};
use crate::workload::{Kind, Labels};

/// A label or port that the API server refuses.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("invalid-identifier"),
    summary: "A label, label value or port that the API server refuses",
    docs: "\
## What it does
Reports labels of workloads, pods and Services with an invalid key or value, port names that are not valid, port
numbers outside 1 to 65535, and a port name that a container uses twice.

## Why is this bad
The API server refuses the object. The error comes when it is applied, and not when it is reviewed.

## Example
```yaml
ports: [{name: a-name-that-is-too-long, containerPort: 80}]    # bad: 15 characters at most
```

## Exceptions
Live objects are always valid.
",
    category: Category::Api,
    severity: Severity::High,
    peers: &["kube-score:label-values", "kube-score:container-ports-check", "kube-linter:invalid-target-ports"],
    check: Check::Pod(check),
    also: Some(Check::Object { reads: &[Kind::Service], check: check_service }),
    ..Rule::BASE
};

use super::identifiers::{is_label_key, is_label_value, is_port_name};

/// The numbers of ports.
const PORTS: RangeInclusive<i64> = 1..=65535;

fn check(context: &Context<'_>, found: &mut Violations) {
    let workload = context.workload;
    let template = workload.template_labels.as_ref().map(|labels| (workload.pod_metadata_path(), labels));
    let own = workload.metadata.labels.as_ref().map(|labels| ("metadata".to_owned(), labels));
    for (path, labels) in own.into_iter().chain(template) {
        check_labels(&format!("{path}.labels"), labels, found);
    }
    context.containers().for_each(|place| check_ports(&place, found));
}

fn check_labels(path: &str, labels: &Labels<'_>, found: &mut Violations) {
    for (key, value) in labels.iter() {
        let problem = if !is_label_key(key) {
            "is no valid key: use a name of at most 63 letters, digits, '-', '_' and '.'"
        } else if !is_label_value(value) {
            "has no valid value: use at most 63 letters, digits, '-', '_' and '.'"
        } else {
            continue;
        };
        found.in_object(format_args!("{path}['{key}']"), format_args!("label {key} {problem}"));
    }
}

fn check_service(context: &ObjectContext<'_>, found: &mut Violations) {
    let Content::Service(service) = &context.object.content else { return };
    if let Some(labels) = &context.object.metadata.labels {
        check_labels("metadata.labels", labels, found);
    }
    for (index, port) in service.ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        if !PORTS.contains(&port.port) {
            found.in_object(
                format_args!("{path}.port"),
                format_args!("{} is no port: use a number from 1 to 65535", port.port),
            );
        }
        match &port.target_port {
            Some(TargetPort::Number(number)) if !PORTS.contains(number) => found.in_object(
                format_args!("{path}.targetPort"),
                format_args!("{number} is no port: use a number from 1 to 65535"),
            ),
            Some(TargetPort::Name(name)) if !is_port_name(name) => found.in_object(
                format_args!("{path}.targetPort"),
                format_args!(
                    "port name {name} is not valid: use at most 15 of a-z, 0-9 and '-', with a letter"
                ),
            ),
            _ => {}
        }
    }
}

fn check_ports(place: &ContainerPlace<'_>, found: &mut Violations) {
    let ports = &place.container.ports;
    for (index, port) in ports.iter().enumerate() {
        if !port.name.is_empty() && !is_port_name(&port.name) {
            found.in_container(
                place,
                format_args!("ports[{index}].name"),
                format_args!(
                    "port name {} is not valid: use at most 15 of a-z, 0-9 and '-', with a letter",
                    port.name
                ),
            );
        }
        if !PORTS.contains(&port.container_port) {
            found.in_container(
                place,
                format_args!("ports[{index}].containerPort"),
                format_args!("{} is no port: use a number from 1 to 65535", port.container_port),
            );
        }
        let is_used = ports.iter().take(index).any(|earlier| earlier.name == port.name);
        if !port.name.is_empty() && is_used {
            found.in_container(
                place,
                format_args!("ports[{index}].name"),
                format_args!("the container uses the port name {} twice: rename one", port.name),
            );
        }
    }
}
