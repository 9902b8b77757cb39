//! The common parts of both kinds of webhook configuration, and the suspension of their webhooks.

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhookConfiguration, RuleWithOperations, ValidatingWebhookConfiguration,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::policy::BREAK_GLASS_ANNOTATION;

/// The name of the condition that lets every request pass.
const SUSPENDED: &str = "break-glass";

/// A configuration by which the API server calls webhooks.
pub trait Registration:
    Resource<DynamicType = ()> + Clone + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned + Send + Sync
{
    /// Returns true if the webhooks change objects.
    fn mutates(&self) -> bool;

    /// Returns the webhooks.
    fn calls(&self) -> Vec<WebhookCall<'_>>;

    /// Changes the address and the conditions of each webhook.
    fn change(&mut self, change: impl FnMut(&mut WebhookClientConfig, &mut Vec<MatchCondition>));
}

/// The common fields of a validating and a mutating webhook.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct WebhookCall<'a> {
    pub name: &'a str,
    pub client_config: &'a WebhookClientConfig,
    pub rules: Option<&'a [RuleWithOperations]>,
    pub namespace_selector: Option<&'a LabelSelector>,
    pub match_conditions: &'a [MatchCondition],
    pub timeout_seconds: Option<i32>,
    pub failure_policy: Option<&'a str>,
}

macro_rules! registration {
    ($kind:ty, $mutates:literal) => {
        impl Registration for $kind {
            fn mutates(&self) -> bool {
                $mutates
            }

            fn calls(&self) -> Vec<WebhookCall<'_>> {
                let webhooks = self.webhooks.iter().flatten();
                webhooks
                    .map(|webhook| WebhookCall {
                        name: &webhook.name,
                        client_config: &webhook.client_config,
                        rules: webhook.rules.as_deref(),
                        namespace_selector: webhook.namespace_selector.as_ref(),
                        match_conditions: webhook.match_conditions.as_deref().unwrap_or_default(),
                        timeout_seconds: webhook.timeout_seconds,
                        failure_policy: webhook.failure_policy.as_deref(),
                    })
                    .collect()
            }

            fn change(&mut self, mut change: impl FnMut(&mut WebhookClientConfig, &mut Vec<MatchCondition>)) {
                for webhook in self.webhooks.iter_mut().flatten() {
                    let mut conditions = webhook.match_conditions.take().unwrap_or_default();
                    change(&mut webhook.client_config, &mut conditions);
                    webhook.match_conditions = Some(conditions).filter(|conditions| !conditions.is_empty());
                }
            }
        }
    };
}

registration!(ValidatingWebhookConfiguration, false);
registration!(MutatingWebhookConfiguration, true);

/// Lets every request pass until a time.
pub fn suspend(configuration: &mut impl Registration, until: Timestamp) {
    configuration.annotations_mut().insert(BREAK_GLASS_ANNOTATION.to_owned(), until.to_string());
    configuration.change(|_, conditions| {
        conditions.retain(|condition| condition.name != SUSPENDED);
        let never = MatchCondition { name: SUSPENDED.to_owned(), expression: "false".to_owned() };
        conditions.insert(0, never);
    });
}

/// Ends a suspension.
pub fn resume(configuration: &mut impl Registration) {
    configuration.annotations_mut().remove(BREAK_GLASS_ANNOTATION);
    configuration.change(|_, conditions| conditions.retain(|condition| condition.name != SUSPENDED));
}

/// Returns the end of a suspension; `None` if there is none. An end that cannot be read has passed.
pub fn suspended_until(configuration: &impl Registration) -> Option<Timestamp> {
    let until = configuration.annotations().get(BREAK_GLASS_ANNOTATION)?;
    Some(until.parse().unwrap_or(Timestamp::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::{
        WebhookAddress, WebhookChoices, mutating_webhook_configuration, webhook_configuration,
    };
    use crate::policy::SystemNamespaces;

    fn is_unchanged_by_a_suspension<R: Registration>(configuration: &R) {
        let until: Timestamp = "2026-01-01T00:30:00Z".parse().unwrap();
        let mut suspended = configuration.clone();
        suspend(&mut suspended, until - jiff::SignedDuration::from_mins(5));
        suspend(&mut suspended, until);
        assert_eq!(suspended_until(&suspended), Some(until));
        let conditions = suspended.calls()[0].match_conditions.to_vec();
        assert_eq!(conditions.iter().filter(|condition| condition.expression == "false").count(), 1);
        resume(&mut suspended);
        suspended.meta_mut().annotations = None;
        assert_eq!(&suspended, configuration);
    }

    #[test]
    fn a_suspension_changes_nothing_once_it_has_ended() {
        let choices = WebhookChoices {
            address: WebhookAddress::Url("https://127.0.0.1:8443/".to_owned()),
            ca_bundle: "CA".to_owned(),
            fail_closed: false,
            own_namespace: "kube-devops".to_owned(),
            system: SystemNamespaces::with(Vec::new()),
        };
        is_unchanged_by_a_suspension(&webhook_configuration(&choices));
        is_unchanged_by_a_suspension(&mutating_webhook_configuration(&choices));
    }
}
