//! The `ValidatingWebhookConfiguration`: the objects that the API server shows to the webhook.
//!
//! It cannot brick a cluster. It names eight kinds, so leases and everything else never match; the selector and the
//! condition leave out system namespaces and the webhook's own one; and a webhook that does not answer lets objects
//! pass, unless the user asked for the opposite.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, RuleWithOperations, ServiceReference, ValidatingWebhook, ValidatingWebhookConfiguration,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};

use crate::policy::{BREAK_GLASS_ANNOTATION, SystemNamespaces};

/// The name of the configuration.
pub const WEBHOOK_CONFIGURATION: &str = "kube-devops-webhook";
/// The name of the Service, unless another is given.
pub const WEBHOOK_SERVICE: &str = "kube-devops-webhook";
/// The port of the Service, unless another is given.
pub const WEBHOOK_SERVICE_PORT: u16 = 443;
/// The name of the Secret with the certificates.
pub const WEBHOOK_SECRET: &str = "kube-devops-webhook-tls";
/// The name of the webhook in the configuration. The API server shows it in each denial.
pub const WEBHOOK_NAME: &str = "validate.devops.stochastic.io";
/// The path of the webhook.
pub const WEBHOOK_PATH: &str = "/validate";

/// The name of the condition that lets every request pass.
const SUSPENDED: &str = "break-glass";
/// The name of the condition that leaves out system namespaces.
const NOT_SYSTEM: &str = "not-a-system-namespace";
/// The time limit of a call, in seconds.
const TIMEOUT: i32 = 5;
/// The label that the API server sets on every namespace.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// The namespaces of Kubernetes itself, which no error in a condition may reach.
const KUBERNETES: [&str; 3] = ["kube-node-lease", "kube-public", "kube-system"];

/// The address of the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookAddress {
    /// A Service.
    Service {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// The port.
        port: u16,
    },
    /// A URL, such as `https://10.0.0.1:8443`.
    Url(String),
}

/// The choices of a configuration.
#[derive(Debug, Clone)]
pub struct WebhookChoices {
    /// The address.
    pub address: WebhookAddress,
    /// The authorities that the API server trusts, in PEM form; empty for those of its system.
    pub ca_bundle: String,
    /// True to refuse objects while the webhook does not answer.
    pub fail_closed: bool,
    /// The webhook's own namespace.
    pub own_namespace: String,
    /// The namespaces that are left out.
    pub system: SystemNamespaces,
}

/// Returns the configuration.
pub fn webhook_configuration(choices: &WebhookChoices) -> ValidatingWebhookConfiguration {
    let WebhookChoices { address, ca_bundle, fail_closed, own_namespace, system } = choices;
    let left_out = KUBERNETES.into_iter().chain([own_namespace.as_str()]).map(str::to_owned).collect();
    let selector = LabelSelectorRequirement {
        key: NAMESPACE_NAME.to_owned(),
        operator: "NotIn".to_owned(),
        values: Some(left_out),
    };
    let condition = MatchCondition {
        name: NOT_SYSTEM.to_owned(),
        expression: system.cel_excludes("request.?namespace.orValue('')"),
    };
    let webhook = ValidatingWebhook {
        name: WEBHOOK_NAME.to_owned(),
        admission_review_versions: vec!["v1".to_owned()],
        client_config: client_config(address, ca_bundle),
        failure_policy: Some(if *fail_closed { "Fail" } else { "Ignore" }.to_owned()),
        match_conditions: Some(vec![condition]),
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(LabelSelector {
            match_expressions: Some(vec![selector]),
            ..LabelSelector::default()
        }),
        object_selector: Some(LabelSelector::default()),
        rules: Some(rules()),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(TIMEOUT),
    };
    let labels = [("app.kubernetes.io/name", "kube-devops"), ("app.kubernetes.io/component", "webhook")];
    let labels: BTreeMap<_, _> = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    ValidatingWebhookConfiguration {
        metadata: ObjectMeta {
            name: Some(WEBHOOK_CONFIGURATION.to_owned()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        webhooks: Some(vec![webhook]),
    }
}

fn client_config(address: &WebhookAddress, ca_bundle: &str) -> WebhookClientConfig {
    let ca_bundle = (!ca_bundle.is_empty()).then(|| ByteString(ca_bundle.as_bytes().to_vec()));
    let (service, url) = match address {
        WebhookAddress::Service { namespace, name, port } => {
            let service = ServiceReference {
                namespace: namespace.clone(),
                name: name.clone(),
                path: Some(WEBHOOK_PATH.to_owned()),
                port: Some((*port).into()),
            };
            (Some(service), None)
        }
        WebhookAddress::Url(url) => (None, Some(format!("{}{WEBHOOK_PATH}", url.trim_end_matches('/')))),
    };
    WebhookClientConfig { ca_bundle, service, url }
}

/// Returns the eight kinds that are evaluated. Subresources such as `scale` and `status` are not among them.
fn rules() -> Vec<RuleWithOperations> {
    let texts = |texts: &[&str]| Some(texts.iter().map(ToString::to_string).collect());
    let rule = |group: &str, resources: &[&str]| RuleWithOperations {
        api_groups: texts(&[group]),
        api_versions: texts(&["v1"]),
        operations: texts(&["CREATE", "UPDATE"]),
        resources: texts(resources),
        scope: Some("Namespaced".to_owned()),
    };
    vec![
        rule("", &["pods", "replicationcontrollers"]),
        rule("apps", &["deployments", "statefulsets", "daemonsets", "replicasets"]),
        rule("batch", &["jobs", "cronjobs"]),
    ]
}

/// Lets every request pass until a time.
pub fn suspend(configuration: &mut ValidatingWebhookConfiguration, until: Timestamp) {
    let annotations = configuration.metadata.annotations.get_or_insert_default();
    annotations.insert(BREAK_GLASS_ANNOTATION.to_owned(), until.to_string());
    for webhook in configuration.webhooks.iter_mut().flatten() {
        let conditions = webhook.match_conditions.get_or_insert_default();
        conditions.retain(|condition| condition.name != SUSPENDED);
        let never = MatchCondition { name: SUSPENDED.to_owned(), expression: "false".to_owned() };
        conditions.insert(0, never);
    }
}

/// Ends a suspension.
pub fn resume(configuration: &mut ValidatingWebhookConfiguration) {
    if let Some(annotations) = &mut configuration.metadata.annotations {
        annotations.remove(BREAK_GLASS_ANNOTATION);
    }
    for webhook in configuration.webhooks.iter_mut().flatten() {
        let conditions = webhook.match_conditions.get_or_insert_default();
        conditions.retain(|condition| condition.name != SUSPENDED);
    }
}

/// Returns the end of a suspension; `None` if there is none. An end that cannot be read has passed.
pub fn suspended_until(configuration: &ValidatingWebhookConfiguration) -> Option<Timestamp> {
    let until = configuration.metadata.annotations.as_ref()?.get(BREAK_GLASS_ANNOTATION)?;
    Some(until.parse().unwrap_or(Timestamp::MIN))
}

/// Returns the ways in which a webhook reaches further than ours may, in words; none for an untouched one.
pub fn dangers(webhook: &ValidatingWebhook) -> Vec<&'static str> {
    let mut found = Vec::new();
    if webhook.rules.as_ref().is_none_or(|found| found.iter().any(|rule| !rules().contains(rule))) {
        found.push("its rules match more than the eight kinds");
    }
    let is_selective = webhook.namespace_selector.as_ref().is_some_and(|selector| {
        selector.match_expressions.iter().flatten().any(|requirement| {
            requirement.key == NAMESPACE_NAME
                && requirement.operator == "NotIn"
                && KUBERNETES
                    .iter()
                    .all(|name| requirement.values.iter().flatten().any(|value| value == name))
        })
    });
    if !is_selective {
        found.push("its selector does not leave out the namespaces of Kubernetes");
    }
    if !webhook.match_conditions.iter().flatten().any(|condition| condition.name == NOT_SYSTEM) {
        found.push("it has no condition that leaves out system namespaces");
    }
    if webhook.timeout_seconds.unwrap_or(10) > TIMEOUT {
        found.push("its time limit is above 5 s");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(fail_closed: bool) -> ValidatingWebhookConfiguration {
        webhook_configuration(&WebhookChoices {
            address: WebhookAddress::Url("https://127.0.0.1:8443/".to_owned()),
            ca_bundle: "CA".to_owned(),
            fail_closed,
            own_namespace: "kube-devops".to_owned(),
            system: SystemNamespaces::with(vec!["platform".to_owned()]),
        })
    }

    #[test]
    fn the_configuration_is_as_documented() {
        insta::assert_snapshot!(yaml_serde::to_string(&configuration(false)).unwrap());
        let closed = configuration(true).webhooks.unwrap().remove(0);
        assert_eq!(closed.failure_policy.as_deref(), Some("Fail"));
    }

    #[test]
    fn a_webhook_that_reaches_further_than_ours_is_dangerous() {
        let ours = configuration(true).webhooks.unwrap().remove(0);
        assert_eq!(dangers(&ours), Vec::<&str>::new());
        let mut everything = ours.clone();
        everything.rules.get_or_insert_default()[0].resources = Some(vec!["*".to_owned()]);
        assert_eq!(dangers(&everything), ["its rules match more than the eight kinds"]);
        let bare = ValidatingWebhook { rules: ours.rules, ..ValidatingWebhook::default() };
        assert_eq!(dangers(&bare).len(), 3, "{:?}", dangers(&bare));
    }

    #[test]
    fn a_suspension_changes_nothing_once_it_has_ended() {
        let until: Timestamp = "2026-01-01T00:30:00Z".parse().unwrap();
        let mut suspended = configuration(false);
        suspend(&mut suspended, until - jiff::SignedDuration::from_mins(5));
        suspend(&mut suspended, until);
        assert_eq!(suspended_until(&suspended), Some(until));
        let conditions = suspended.webhooks.as_ref().unwrap()[0].match_conditions.clone().unwrap();
        assert_eq!(conditions.iter().filter(|condition| condition.expression == "false").count(), 1);
        resume(&mut suspended);
        suspended.metadata.annotations = None;
        assert_eq!(suspended, configuration(false));
    }
}
