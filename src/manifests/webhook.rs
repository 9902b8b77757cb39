//! The `ValidatingWebhookConfiguration` and the `MutatingWebhookConfiguration`: the objects that the API server shows to
//! the webhook.
//!
//! It cannot brick a cluster. It names eight kinds, so leases and everything else never match; the selector and the
//! condition leave out system namespaces and the webhook's own one; and a webhook that does not answer lets objects
//! pass, unless the user asked for the opposite.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference,
    ValidatingWebhook, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};

use super::registration::Registration;
use crate::policy::SystemNamespaces;

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
/// The name of the mutating webhook in its configuration.
pub const MUTATING_WEBHOOK_NAME: &str = "mutate.devops.stochastic.io";
/// The path of the mutating webhook.
pub const MUTATING_WEBHOOK_PATH: &str = "/mutate";

/// The name of the condition that leaves out system namespaces.
const NOT_SYSTEM: &str = "not-a-system-namespace";
/// The namespace of a request in CEL.
const REQUEST_NAMESPACE: &str = "request.?namespace.orValue('')";
/// The end of the condition, after the names of namespaces.
const END: &str = "])";
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

/// The choices of both configurations.
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

/// Returns the configuration of the validating webhook.
pub fn webhook_configuration(choices: &WebhookChoices) -> ValidatingWebhookConfiguration {
    let webhook = ValidatingWebhook {
        name: WEBHOOK_NAME.to_owned(),
        admission_review_versions: vec!["v1".to_owned()],
        client_config: client_config(choices, WEBHOOK_PATH),
        failure_policy: Some(if choices.fail_closed { "Fail" } else { "Ignore" }.to_owned()),
        match_conditions: Some(vec![not_system(choices)]),
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(selector(choices)),
        object_selector: Some(LabelSelector::default()),
        rules: Some(rules()),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(TIMEOUT),
    };
    ValidatingWebhookConfiguration { metadata: metadata(), webhooks: Some(vec![webhook]) }
}

/// Returns the configuration of the mutating webhook. A workload without defaults is better than none, so it never fails
/// closed: the validating webhook and the operator still see the workload.
pub fn mutating_webhook_configuration(choices: &WebhookChoices) -> MutatingWebhookConfiguration {
    let webhook = MutatingWebhook {
        name: MUTATING_WEBHOOK_NAME.to_owned(),
        admission_review_versions: vec!["v1".to_owned()],
        client_config: client_config(choices, MUTATING_WEBHOOK_PATH),
        failure_policy: Some("Ignore".to_owned()),
        match_conditions: Some(vec![not_system(choices)]),
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(selector(choices)),
        object_selector: Some(LabelSelector::default()),
        // A webhook that changes workloads after this one adds no containers to them, but to pods.
        reinvocation_policy: Some("Never".to_owned()),
        rules: Some(created_rules()),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(TIMEOUT),
    };
    MutatingWebhookConfiguration { metadata: metadata(), webhooks: Some(vec![webhook]) }
}

fn metadata() -> ObjectMeta {
    let labels = [("app.kubernetes.io/name", "kube-devops"), ("app.kubernetes.io/component", "webhook")];
    let labels: BTreeMap<_, _> = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    ObjectMeta { name: Some(WEBHOOK_CONFIGURATION.to_owned()), labels: Some(labels), ..ObjectMeta::default() }
}

fn not_system(choices: &WebhookChoices) -> MatchCondition {
    MatchCondition { name: NOT_SYSTEM.to_owned(), expression: choices.system.cel_excludes(REQUEST_NAMESPACE) }
}

fn selector(choices: &WebhookChoices) -> LabelSelector {
    let left_out =
        KUBERNETES.into_iter().chain([choices.own_namespace.as_str()]).map(str::to_owned).collect();
    let requirement = LabelSelectorRequirement {
        key: NAMESPACE_NAME.to_owned(),
        operator: "NotIn".to_owned(),
        values: Some(left_out),
    };
    LabelSelector { match_expressions: Some(vec![requirement]), ..LabelSelector::default() }
}

fn client_config(choices: &WebhookChoices, path: &str) -> WebhookClientConfig {
    let WebhookChoices { address, ca_bundle, .. } = choices;
    let ca_bundle = (!ca_bundle.is_empty()).then(|| ByteString(ca_bundle.as_bytes().to_vec()));
    let (service, url) = match address {
        WebhookAddress::Service { namespace, name, port } => {
            let service = ServiceReference {
                namespace: namespace.clone(),
                name: name.clone(),
                path: Some(path.to_owned()),
                port: Some((*port).into()),
            };
            (Some(service), None)
        }
        WebhookAddress::Url(url) => (None, Some(format!("{}{path}", url.trim_end_matches('/')))),
    };
    WebhookClientConfig { ca_bundle, service, url }
}

/// Returns the eight kinds that are evaluated. Subresources such as `scale` and `status` are not among them.
fn rules() -> Vec<RuleWithOperations> {
    let writes = ["CREATE", "UPDATE"];
    vec![
        rule("", &writes, &["pods", "replicationcontrollers"]),
        rule("apps", &writes, &["deployments", "statefulsets", "daemonsets", "replicasets"]),
        rule("batch", &writes, &["jobs", "cronjobs"]),
    ]
}

/// Returns the kinds that get defaults when they are created.
fn created_rules() -> Vec<RuleWithOperations> {
    vec![rule("apps", &["CREATE"], &["deployments", "statefulsets", "daemonsets"])]
}

fn rule(group: &str, operations: &[&str], resources: &[&str]) -> RuleWithOperations {
    let texts = |texts: &[&str]| Some(texts.iter().map(ToString::to_string).collect());
    RuleWithOperations {
        api_groups: texts(&[group]),
        api_versions: texts(&["v1"]),
        operations: texts(operations),
        resources: texts(resources),
        scope: Some("Namespaced".to_owned()),
    }
}

/// Returns the namespaces that our condition leaves out beside the usual system namespaces; `None` for another
/// condition.
fn left_out(expression: &str) -> Option<Vec<&str>> {
    let usual = SystemNamespaces::default().cel_excludes(REQUEST_NAMESPACE);
    let more = expression.strip_prefix(usual.strip_suffix(END)?)?.strip_suffix(END)?;
    let items = more.split(", ").skip(1).map(|item| item.strip_prefix('\'')?.strip_suffix('\''));
    let is_plain = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let named: Option<Vec<_>> = items.map(|item| item.filter(is_plain)).collect();
    named.filter(|_| more.is_empty() || more.starts_with(", "))
}

/// Returns the ways in which a configuration reaches further than ours may, in words; none for an untouched one.
pub fn dangers(configuration: &impl Registration) -> Vec<&'static str> {
    let mut found = Vec::new();
    let expected = if configuration.mutates() { created_rules() } else { rules() };
    for webhook in configuration.calls() {
        if webhook.rules.is_none_or(|found| found.iter().any(|rule| !expected.contains(rule))) {
            found.push("its rules match more than they must");
        }
        // The own namespace is known if the webhook runs in the cluster.
        let own = webhook.client_config.service.as_ref().map(|service| service.namespace.as_str());
        let is_selective = webhook.namespace_selector.is_some_and(|selector| {
            selector.match_expressions.iter().flatten().any(|requirement| {
                let has = |name: &str| requirement.values.iter().flatten().any(|value| value == name);
                requirement.key == NAMESPACE_NAME
                    && requirement.operator == "NotIn"
                    && KUBERNETES.into_iter().chain(own).all(has)
            })
        });
        if !is_selective {
            found.push("its selector does not leave out the namespaces of Kubernetes and its own");
        }
        let conditions = webhook.match_conditions.iter().filter(|condition| condition.name == NOT_SYSTEM);
        let mut left_out = conditions.filter_map(|condition| left_out(&condition.expression));
        if !left_out.any(|names| own.is_none_or(|own| names.contains(&own))) {
            found.push("it has no condition that leaves out system namespaces and its own");
        }
        if webhook.timeout_seconds.unwrap_or(10) > TIMEOUT {
            found.push("its time limit is above 5 s");
        }
        if configuration.mutates() && webhook.failure_policy != Some("Ignore") {
            found.push("it refuses workloads while the webhook does not answer");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(fail_closed: bool) -> ValidatingWebhookConfiguration {
        webhook_configuration(&choices(fail_closed))
    }

    fn choices(fail_closed: bool) -> WebhookChoices {
        WebhookChoices {
            address: WebhookAddress::Url("https://127.0.0.1:8443/".to_owned()),
            ca_bundle: "CA".to_owned(),
            fail_closed,
            own_namespace: "kube-devops".to_owned(),
            system: SystemNamespaces::with(vec!["platform".to_owned()]),
        }
    }

    #[test]
    fn the_configuration_is_as_documented() {
        insta::assert_snapshot!(crate::yaml::to_string(&configuration(false)).unwrap());
        let closed = configuration(true).webhooks.unwrap().remove(0);
        assert_eq!(closed.failure_policy.as_deref(), Some("Fail"));
    }

    #[test]
    fn the_mutating_configuration_is_as_documented_and_never_fails_closed() {
        insta::assert_snapshot!(crate::yaml::to_string(&mutating(true)).unwrap());
    }

    fn mutating(fail_closed: bool) -> MutatingWebhookConfiguration {
        mutating_webhook_configuration(&choices(fail_closed))
    }

    #[test]
    fn a_webhook_that_reaches_further_than_ours_is_dangerous() {
        assert_eq!(dangers(&configuration(true)), Vec::<&str>::new());
        assert_eq!(dangers(&mutating(true)), Vec::<&str>::new());
        let mut everything = configuration(true);
        let rules = everything.webhooks.as_mut().unwrap()[0].rules.as_mut().unwrap();
        rules[0].resources = Some(vec!["*".to_owned()]);
        assert_eq!(dangers(&everything), ["its rules match more than they must"]);
        let mut bare = configuration(true);
        let rules = bare.webhooks.as_ref().unwrap()[0].rules.clone();
        bare.webhooks = Some(vec![ValidatingWebhook { rules, ..ValidatingWebhook::default() }]);
        assert_eq!(dangers(&bare).len(), 3, "{:?}", dangers(&bare));
        let by_service = || {
            let address = WebhookAddress::Service {
                namespace: "kube-devops".to_owned(),
                name: WEBHOOK_SERVICE.to_owned(),
                port: WEBHOOK_SERVICE_PORT,
            };
            let system = SystemNamespaces::with(vec!["platform".to_owned(), "kube-devops".to_owned()]);
            webhook_configuration(&WebhookChoices { address, system, ..choices(true) })
        };
        assert_eq!(dangers(&by_service()), Vec::<&str>::new());
        let expression =
            by_service().webhooks.unwrap()[0].match_conditions.as_ref().unwrap()[0].expression.clone();
        for catching in [
            "true".to_owned(),
            format!("{expression} || true"),
            expression.replace(", 'kube-devops'", ""),
            expression.replace("'cert-manager', ", ""),
            expression.replace(", 'kube-devops'", ", 'a']) || [''].exists(n, n in ['kube-devops'"),
        ] {
            let mut changed = by_service();
            let webhook = &mut changed.webhooks.as_mut().unwrap()[0];
            webhook.match_conditions.as_mut().unwrap()[0].expression.clone_from(&catching);
            assert_eq!(
                dangers(&changed),
                ["it has no condition that leaves out system namespaces and its own"],
                "{catching}"
            );
        }
        let mut own = by_service();
        let selector = own.webhooks.as_mut().unwrap()[0].namespace_selector.as_mut().unwrap();
        selector.match_expressions.as_mut().unwrap()[0]
            .values
            .as_mut()
            .unwrap()
            .retain(|name| name != "kube-devops");
        assert_eq!(
            dangers(&own),
            ["its selector does not leave out the namespaces of Kubernetes and its own"]
        );
        let mut closed = mutating(false);
        closed.webhooks.as_mut().unwrap()[0].failure_policy = Some("Fail".to_owned());
        closed.webhooks.as_mut().unwrap()[0].rules = Some(super::rules());
        assert_eq!(dangers(&closed).len(), 2, "{:?}", dangers(&closed));
    }
}
