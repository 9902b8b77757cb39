//! A label or port that the API server refuses.

use crate::rules::{Category, Check, ContainerPlace, Context, Rule, RuleId, Severity, Violations};

/// A label or port that the API server refuses.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("invalid-identifier"),
    summary: "A label, label value or port that the API server refuses",
    docs: "\
## What it does
Reports labels with an invalid key or value, port names that are not valid, port numbers outside 1 to 65535, and a
port name that a container uses twice.

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
    ..Rule::BASE
};

use super::identifiers::{is_label_key, is_label_value, is_port_name};

fn check(context: &Context<'_>, found: &mut Violations) {
    let workload = context.workload;
    let template = workload.template_labels.as_ref().map(|labels| (workload.pod_metadata_path(), labels));
    let own = workload.metadata.labels.as_ref().map(|labels| ("metadata".to_owned(), labels));
    for (path, labels) in own.into_iter().chain(template) {
        for (key, value) in labels.iter() {
            let problem = if !is_label_key(key) {
                "is no valid key: use a name of at most 63 letters, digits, '-', '_' and '.'"
            } else if !is_label_value(value) {
                "has no valid value: use at most 63 letters, digits, '-', '_' and '.'"
            } else {
                continue;
            };
            found.in_object(format_args!("{path}.labels['{key}']"), format_args!("label {key} {problem}"));
        }
    }
    context.containers().for_each(|place| check_ports(&place, found));
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
        if !(1..=65535).contains(&port.container_port) {
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
