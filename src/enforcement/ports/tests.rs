//! Tables of ports, and the port that is chosen.

use serde_json::{Value, json};

use super::*;
use crate::workload::WorkloadKind;

fn subject(containers: &str, init_containers: &str) -> Subject {
    let of = |text: &str| yaml_serde::from_str::<Value>(text).unwrap();
    let template = json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": { "containers": of(containers), "initContainers": of(init_containers) },
    });
    let object = json!({ "metadata": { "name": "web" }, "spec": { "selector": {}, "template": template } });
    Subject::read(WorkloadKind::Deployment, object).unwrap()
}

fn service(name: &str, ports: &str) -> Service {
    let ports: Value = yaml_serde::from_str(ports).unwrap();
    let spec = json!({ "selector": { "app": "web" }, "ports": ports });
    Service::read(&json!({ "metadata": { "name": name }, "spec": spec }).to_string()).unwrap()
}

/// Returns the port of container `a` with its reason, or the reason for no port.
fn chosen(subject: &Subject, services: &[Service], of_policy: Option<u16>) -> String {
    let served = served(subject, services);
    let of_a = served.get("a").map_or(&[][..], Vec::as_slice);
    match choose(&subject.containers()[0], of_a, of_policy) {
        Ok(ProbePort { port, why }) => format!("{port}: {why}"),
        Err(no) => no.to_string(),
    }
}

#[test]
fn ports_are_chosen_in_the_documented_order() {
    let first = "it is the first TCP port of the container with a name unlike metrics, admin, debug, health";
    let (only, targeted) = ("the container declares no other TCP port", "Service s targets it");
    for (ports, targets, of_policy, expected) in [
        ("[{containerPort: 80}]", "[{port: 80}]", Some(9), "9: defaultProbe.tcpPort names it".to_owned()),
        ("[{containerPort: 80}]", "[]", None, format!("80: {only}")),
        ("[{containerPort: 53, protocol: UDP}, {containerPort: 80}]", "[]", None, format!("80: {only}")),
        ("[{containerPort: 9, name: metrics}]", "[]", None, format!("9: {only}")),
        ("[{containerPort: 9, name: http-metrics}, {containerPort: 80}]", "[]", None, format!("80: {first}")),
        ("[{containerPort: 80}, {containerPort: 81}]", "[]", None, format!("80: {first}")),
        ("[{containerPort: 80}, {containerPort: 81}]", "[{port: 81}]", None, format!("81: {targeted}")),
        (
            "[{containerPort: 9, name: metrics}, {containerPort: 80}]",
            "[{port: 9}]",
            None,
            format!("9: {targeted}"),
        ),
        (
            "[{containerPort: 9, name: metrics}, {containerPort: 81}, {containerPort: 80}]",
            "[{port: 9}, {port: 80}, {port: 81}]",
            None,
            format!("81: {targeted}"),
        ),
        (
            "[{containerPort: 9}, {containerPort: 80}]",
            "[{port: 9, name: healthz}, {port: 80}]",
            None,
            format!("80: {targeted}"),
        ),
        (
            "[{containerPort: 80, name: http}]",
            "[{port: 1, targetPort: http}]",
            None,
            format!("80: {targeted}"),
        ),
        ("[{containerPort: 80}]", "[{port: 8080}]", None, format!("8080: {targeted}")),
        ("[{containerPort: 80}]", "[{port: 80}, {port: 8080}]", None, format!("80: {targeted}")),
        ("[]", "[{port: 8080}]", None, format!("8080: {targeted}")),
        ("[{containerPort: 80}]", "[{port: 1, targetPort: other}]", None, format!("80: {only}")),
        (
            "[{containerPort: 53, protocol: UDP}]",
            "[{port: 53, protocol: UDP}]",
            None,
            NoPort::Undeclared.to_string(),
        ),
        (
            "[{containerPort: 1, name: admin}, {containerPort: 2, name: debug}]",
            "[]",
            None,
            NoPort::OnlySide.to_string(),
        ),
    ] {
        let subject = subject(&format!("[{{name: a, image: 'x:1', ports: {ports}}}]"), "[]");
        let services = [service("s", targets)];
        assert_eq!(chosen(&subject, &services, of_policy), expected, "{ports} {targets}");
    }
}

#[test]
fn an_undeclared_port_counts_only_in_a_single_container_pod() {
    let services = [service("s", "[{port: 8080}]")];
    let alone = "[{name: a, image: 'x:1'}]";
    let two = "[{name: a, image: 'x:1'}, {name: b, image: 'x:1'}]";
    let other = "[{name: a, image: 'x:1'}, {name: b, image: 'x:1', ports: [{containerPort: 8080}]}]";
    let sidecar = |fields: &str| format!("[{{name: s, image: 'x:1', {fields}}}]");
    let init = sidecar("ports: [{containerPort: 1}]");
    let native = sidecar("restartPolicy: Always");
    let declares = sidecar("restartPolicy: Always, ports: [{containerPort: 8080}]");
    let none = NoPort::Undeclared.to_string();
    let targeted = "8080: Service s targets it".to_owned();
    for (containers, init_containers, expected) in [
        (alone, "[]", &targeted),
        (alone, init.as_str(), &targeted),
        (alone, native.as_str(), &none),
        (alone, declares.as_str(), &none),
        (two, "[]", &none),
        (other, "[]", &none),
    ] {
        assert_eq!(chosen(&subject(containers, init_containers), &services, None), *expected, "{containers}");
    }
}
