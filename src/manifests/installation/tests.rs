//! Laws for the objects of every installation.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Component, Installation, all, deployments};
use crate::manifests::Mode;

fn everything() -> Installation {
    Installation { modes: Mode::ALL.to_vec(), network_policies: true, ..Installation::default() }
}

/// Asserts that an object has only fields that its type has.
fn assert_typed<K: DeserializeOwned + Serialize>(object: &Value) {
    let mut object = object.clone();
    let typed: K = serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error}: {object}"));
    let mut read = serde_json::to_value(typed).unwrap();
    // The API types leave an empty list out.
    for value in [&mut object, &mut read] {
        remove_empty(value);
    }
    assert_eq!(read, object);
}

fn remove_empty(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.values_mut().for_each(remove_empty);
        fields.retain(|_, value| *value != serde_json::json!({}) && *value != serde_json::json!([]));
    }
    if let Value::Array(items) = value {
        items.iter_mut().for_each(remove_empty);
    }
}

#[test]
fn every_field_is_one_of_its_kind() {
    for object in all(&everything()).unwrap() {
        match object["kind"].as_str().unwrap() {
            "Namespace" => assert_typed::<Namespace>(&object),
            "ServiceAccount" => assert_typed::<ServiceAccount>(&object),
            "Service" => assert_typed::<Service>(&object),
            "Deployment" => assert_typed::<Deployment>(&object),
            "PodDisruptionBudget" => assert_typed::<PodDisruptionBudget>(&object),
            "NetworkPolicy" => assert_typed::<NetworkPolicy>(&object),
            "ClusterRole" => assert_typed::<ClusterRole>(&object),
            "ClusterRoleBinding" => assert_typed::<ClusterRoleBinding>(&object),
            "Role" => assert_typed::<Role>(&object),
            "RoleBinding" => assert_typed::<RoleBinding>(&object),
            "ValidatingAdmissionPolicy" => assert_typed::<ValidatingAdmissionPolicy>(&object),
            "ValidatingAdmissionPolicyBinding" => assert_typed::<ValidatingAdmissionPolicyBinding>(&object),
            "ValidatingWebhookConfiguration" => assert_typed::<ValidatingWebhookConfiguration>(&object),
            "MutatingWebhookConfiguration" => assert_typed::<MutatingWebhookConfiguration>(&object),
            // No type here, or one that changes numbers.
            "MutatingAdmissionPolicy" | "MutatingAdmissionPolicyBinding" | "CustomResourceDefinition" => {}
            other => panic!("{other} has no type here"),
        }
    }
}

#[test]
fn no_two_objects_are_the_same() {
    let objects = all(&everything()).unwrap();
    let of = |object: &Value| {
        [&object["kind"], &object["metadata"]["namespace"], &object["metadata"]["name"]].map(Value::to_string)
    };
    assert_eq!(objects.iter().map(of).collect::<BTreeSet<_>>().len(), objects.len());
}

#[test]
fn every_account_is_bound_and_every_pod_has_its_account() {
    let objects = all(&everything()).unwrap();
    let of_kind = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let accounts: BTreeSet<_> =
        of_kind("ServiceAccount").map(|account| account["metadata"]["name"].to_string()).collect();
    let bound: BTreeSet<_> = ["ClusterRoleBinding", "RoleBinding"]
        .into_iter()
        .flat_map(of_kind)
        .map(|binding| binding["subjects"][0]["name"].to_string())
        .collect();
    assert_eq!(accounts, bound);
    for deployment in of_kind("Deployment") {
        let account = deployment["spec"]["template"]["spec"]["serviceAccountName"].to_string();
        assert!(accounts.contains(&account), "{account}");
    }
}

#[test]
fn services_and_budgets_select_the_pods_of_their_component() {
    for component in Component::ALL {
        let objects = all(&everything()).unwrap();
        let named = |kind: &str| {
            objects
                .iter()
                .find(|object| object["kind"] == kind && object["metadata"]["name"] == component.name())
                .unwrap()
        };
        let labels = named("Deployment")["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
        let selectors = [
            &named("Service")["spec"]["selector"],
            &named("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
            &named("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
            &named("Deployment")["spec"]["selector"]["matchLabels"],
        ];
        for selector in selectors {
            let selector = selector.as_object().unwrap();
            assert!(selector.iter().all(|(key, value)| labels.get(key) == Some(value)), "{selector:?}");
            assert_eq!(selector["app.kubernetes.io/component"], component.command());
        }
    }
}

#[test]
fn modes_choose_the_deployments() {
    let of = |modes: &[Mode]| {
        let installation = Installation { modes: modes.to_vec(), ..Installation::default() };
        deployments(&installation)
            .iter()
            .map(|one| one["metadata"]["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&[Mode::Watch]), ["kube-devops-watch"]);
    assert_eq!(of(&[Mode::Reconcile, Mode::Enforce]), ["kube-devops-reconcile"]);
    assert_eq!(of(&[Mode::Analyze]), Vec::<String>::new());
    assert_eq!(of(&Mode::ALL), ["kube-devops-watch", "kube-devops-reconcile", "kube-devops-webhook"]);
}

#[test]
fn the_registered_service_leads_to_the_secure_port_of_the_webhook() {
    let objects = all(&everything()).unwrap();
    let of_kind = |kind: &str, name: &str| {
        let found =
            objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        found.unwrap().clone()
    };
    let called =
        of_kind("ValidatingWebhookConfiguration", "kube-devops-webhook")["webhooks"][0]["clientConfig"]
            .clone();
    assert!(called["caBundle"].is_null(), "only the webhook itself knows its authority");
    let service = of_kind("Service", called["service"]["name"].as_str().unwrap());
    assert_eq!(service["metadata"]["namespace"], called["service"]["namespace"]);
    let ports = service["spec"]["ports"].as_array().unwrap();
    let port = ports.iter().find(|port| port["port"] == called["service"]["port"]).unwrap();
    let deployment = of_kind("Deployment", "kube-devops-webhook");
    let container = deployment["spec"]["template"]["spec"]["containers"][0].clone();
    let named = container["ports"].as_array().unwrap().iter().find(|open| open["name"] == port["targetPort"]);
    assert_eq!(named.unwrap()["containerPort"], 8443);
    assert_eq!(container["args"], serde_json::json!(["webhook", "serve", "--log-format=json"]));
}

#[test]
fn without_native_admission_nothing_evaluates_by_verdicts_that_are_left() {
    let names = |modes: &[Mode], namespaces: &[&str]| -> Vec<String> {
        let installation = Installation {
            modes: modes.to_vec(),
            reconcile_namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
            ..Installation::default()
        };
        let objects = all(&installation).unwrap();
        objects.iter().filter_map(|object| object["metadata"]["name"].as_str().map(str::to_owned)).collect()
    };
    let has = |names: &[String], name: &str| names.iter().any(|one| one == name);
    let native = names(&[Mode::Enforce, Mode::Native], &[]);
    assert!(has(&native, "kube-devops-deny") && has(&native, "kube-devops-warn"));
    for (modes, namespaces) in
        [(&[Mode::Enforce][..], &[][..]), (&[Mode::Enforce, Mode::Native][..], &["shop"][..])]
    {
        let names = names(modes, namespaces);
        assert!(!has(&names, "kube-devops-deny") && !has(&names, "kube-devops-warn"), "{modes:?}");
        assert!(has(&names, "kube-devops-yield") && has(&names, "kube-devops-namespace-fence"), "{modes:?}");
    }
}
