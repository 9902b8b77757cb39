//! The largest objects that native admission evaluates, under all rules at once: the API server stays in its budget.

use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube_devops::policy::{ADMISSION_DENY_AND_WARN, DENY_ANNOTATION, WARN_ANNOTATION};
use kube_devops::rules::RULES;
use serde_json::{Value, json};

use super::objects::object;
use super::one_verdict::annotate;
use crate::eventually::eventually;

/// Returns a Deployment with `containers` containers that break most rules, each with `variables` variables.
fn large(containers: usize, variables: usize, image: &str) -> Value {
    let container = |number: usize| {
        let env: Vec<_> =
            (0..variables).map(|index| json!({ "name": format!("V{}", index / 2), "value": "a" })).collect();
        let ports: Vec<_> = (0..4_500 / containers.max(500))
            .map(|port| json!({ "containerPort": 1 + number * 100 + port }))
            .collect();
        json!({
            "name": format!("c{number}"), "image": image, "env": env, "ports": ports,
            "securityContext": { "capabilities": { "add": ["SYS_TIME"] }, "runAsUser": 0 },
        })
    };
    let volumes: Vec<_> = (0..500)
        .map(|number| json!({ "name": format!("v{number}"), "hostPath": { "path": "/var/run/docker.sock" } }))
        .collect();
    let labels: serde_json::Map<_, _> =
        (0..40).map(|number| (format!("l{number}"), Value::from("a"))).collect();
    let constraints: Vec<_> = (0..100)
        .map(|number| {
            json!({
                "maxSkew": 1, "topologyKey": format!("k{number}"), "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": { "matchLabels": labels },
            })
        })
        .collect();
    let pod = json!({
        "containers": (0..containers).map(container).collect::<Vec<_>>(), "volumes": volumes, "hostPID": true,
        "topologySpreadConstraints": constraints,
    });
    let annotations: serde_json::Map<_, _> =
        (0..900).map(|number| (format!("a{number}"), Value::from(""))).collect();
    let mut made = object("Deployment", pod, &Value::Object(labels), &annotations.into());
    made["metadata"]["name"] = "large".into();
    made
}

/// Creates objects of the greatest size in a namespace where every rule denies, and expects to read the findings.
pub(super) async fn the_largest_objects_are_evaluated_by_all_rules(client: &Client, namespace: &str) {
    let native = RULES.iter().filter(|rule| rule.expression.is_some());
    let rules: Vec<_> = native.map(|rule| format!("{};all", rule.id)).collect();
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment"));
    let deployments: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    annotate(
        client,
        namespace,
        ADMISSION_DENY_AND_WARN,
        json!({ DENY_ANNOTATION: rules.join(","), WARN_ANNOTATION: "" }),
    )
    .await;
    for (containers, variables) in [(500, 22), (1, 500)] {
        let made = large(containers, variables, &format!("{}/a", "a".repeat(90)));
        let made: DynamicObject = serde_json::from_value(made).unwrap();
        eventually("the rules deny", async || {
            let kube::Error::Api(denied) = deployments.create(&dry_run, &made).await.err()? else {
                panic!("the API server does not answer");
            };
            let message = &denied.message;
            assert!(!message.contains("resulted in error"), "{containers} containers: {message:.600}");
            message.contains("policy all, rule ").then_some(())
        })
        .await;
    }
}
