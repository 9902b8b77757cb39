//! The files of the chart, except the README.

use serde_json::{Value, json};

use super::template::{END_IF, IF_ENABLED, NAMESPACE, RUNBOOKS, SYSTEM_NAMESPACE, define, template};
use crate::manifests::installation::{APP, Installation, added_rules, all, rules};
use crate::manifests::observability::{DASHBOARDS, prometheus_rule};
use crate::manifests::{
    Mode, PermissionScope, RulePermissions, SELF_FENCE, crds, evaluates_natively, manifest,
    own_registration_rules, registration_rules, uninstall_permissions,
};

/// The kind of the conflict policy, which is newer than [`KUBE_VERSION`], as Helm names it.
const CONFLICT_POLICY_KIND: &str = "\"admissionregistration.k8s.io/v1/MutatingAdmissionPolicy\"";

/// A template that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// An object of the model is no JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It cannot be written as YAML.
    #[error(transparent)]
    Yaml(#[from] std::io::Error),
}

/// The oldest Kubernetes that the chart installs on.
const KUBE_VERSION: &str = ">=1.33.0-0";

/// Returns the generated files, except the README, as paths in the chart and contents.
pub fn files() -> Result<Vec<(String, String)>, ChartError> {
    let mut files = vec![
        ("Chart.yaml".to_owned(), template(&description(), None)?),
        ("templates/crds.yaml".to_owned(), custom_resources()?),
        ("templates/_rules.tpl".to_owned(), role_rules()?),
        ("templates/_alerts.tpl".to_owned(), alerts()?),
        ("templates/admission.yaml".to_owned(), admission()?),
    ];
    for dashboard in DASHBOARDS {
        let model = serde_json::to_string_pretty(&dashboard.model())?;
        files.push((format!("dashboards/{}.json", dashboard.name), format!("{model}\n")));
    }
    Ok(files)
}

/// The suffixes of the named templates of a role, each with the scopes of its permissions.
const SUFFIXES: [(&str, &[PermissionScope]); 3] = [
    ("", &[PermissionScope::Cluster, PermissionScope::EvaluatedNamespaces]),
    ("-evaluated", &[PermissionScope::EvaluatedNamespaces]),
    ("-own", &[PermissionScope::OwnNamespace]),
];

fn description() -> Value {
    json!({
        "apiVersion": "v2",
        "name": APP,
        "description": env!("CARGO_PKG_DESCRIPTION"),
        "type": "application",
        "version": env!("CARGO_PKG_VERSION"),
        "appVersion": env!("CARGO_PKG_VERSION"),
        "kubeVersion": KUBE_VERSION,
        "keywords": ["governance", "policy", "admission", "operator"],
    })
}

fn custom_resources() -> Result<String, ChartError> {
    let mut text = String::new();
    for crd in crds() {
        text += "---\n";
        text += &template(
            &manifest(&crd)?,
            Some("\"\" (ternary (dict \"helm.sh/resource-policy\" \"keep\") (dict) .Values.crds.keep)"),
        )?;
    }
    Ok(format!("{{{{- if .Values.crds.install }}}}\n{text}{{{{- end }}}}\n"))
}

/// Returns the rules of each role as named templates.
fn role_rules() -> Result<String, ChartError> {
    let mut text = String::new();
    let parts: [(&str, &[Mode], Mode); 6] = [
        ("watch", &[], Mode::Watch),
        ("reconcile", &[], Mode::Reconcile),
        ("enforce", &[Mode::Reconcile], Mode::Enforce),
        ("native", &[Mode::Reconcile], Mode::Native),
        ("reports", &[Mode::Reconcile], Mode::Reports),
        ("webhook", &[], Mode::Webhook),
    ];
    for (name, to, mode) in parts {
        for (suffix, scopes) in SUFFIXES {
            text += &define(&format!("{APP}.rules.{name}{suffix}"), &json!(added_rules(to, mode, scopes)))?;
        }
    }
    for choice in RulePermissions::ALL {
        let permissions = choice.permissions();
        for (suffix, scopes) in SUFFIXES {
            let within = permissions.iter().filter(|permission| scopes.contains(&permission.scope));
            text += &define(&format!("{APP}.rules.permissions-{choice}{suffix}"), &json!(rules(within)))?;
        }
    }
    for (suffix, scope) in [("", PermissionScope::Cluster), ("-own", PermissionScope::OwnNamespace)] {
        let permissions = uninstall_permissions().iter().filter(|permission| permission.scope == scope);
        text += &define(&format!("{APP}.rules.uninstall{suffix}"), &json!(rules(permissions)))?;
    }
    for (suffix, rules) in [("", registration_rules()), ("-own", own_registration_rules())] {
        text += &define(&format!("{APP}.rules.register{suffix}"), &json!(rules))?;
    }
    Ok(text)
}

fn alerts() -> Result<String, ChartError> {
    let installation = Installation { modes: Mode::ALL.to_vec(), ..Installation::default() };
    let mut groups = prometheus_rule(&installation, &[], RUNBOOKS)["spec"]["groups"].take();
    let rules = groups[1]["rules"].take();
    let mut conditional = Vec::new();
    for rule in rules.as_array().into_iter().flatten() {
        let component = rule["labels"]["component"].as_str();
        conditional.extend(component.map(|component| format!("{IF_ENABLED}{component}").into()));
        conditional.push(rule.clone());
        conditional.extend(component.map(|_| END_IF.into()));
    }
    groups[1]["rules"] = conditional.into();
    Ok(define(&format!("{APP}.alerts"), &groups)?)
}

/// Returns the admission policies, each under the values that ask for it. A Job registers the webhook once it is ready.
fn admission() -> Result<String, ChartError> {
    let installation = Installation {
        namespace: NAMESPACE.to_owned(),
        system_namespaces: vec![SYSTEM_NAMESPACE.to_owned()],
        modes: Mode::ALL.to_vec(),
        ..Installation::default()
    };
    let mut texts = Vec::new();
    for object in all(&installation)? {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let condition = match object["kind"].as_str().unwrap_or_default() {
            "MutatingAdmissionPolicy" | "MutatingAdmissionPolicyBinding" => &*format!(
                "and .Values.reconcile.enabled (.Capabilities.APIVersions.Has {CONFLICT_POLICY_KIND})"
            ),
            kind if kind.starts_with("ValidatingAdmissionPolicy") && name == SELF_FENCE => {
                "and .Values.reconcile.enabled .Values.selfFence.enabled"
            }
            kind if kind.starts_with("ValidatingAdmissionPolicy") && evaluates_natively(&object) => {
                "and .Values.reconcile.enabled (include \"kube-devops.native\" .)"
            }
            kind if kind.starts_with("ValidatingAdmissionPolicy") => ".Values.reconcile.enabled",
            _ => continue,
        };
        let object = template(&object, Some("\"\""))?;
        texts.push(format!("{{{{- if {condition} }}}}\n---\n{object}{{{{- end }}}}\n"));
    }
    Ok(texts.concat())
}
