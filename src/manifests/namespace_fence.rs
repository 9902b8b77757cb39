//! The fence on Namespaces: a `ValidatingAdmissionPolicy` by which the API server refuses every change that the operator's
//! account makes to a Namespace, except to the keys of native admission.
//!
//! RBAC cannot say which labels an account may change, and labels of a Namespace decide about Pod Security.

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicySpec, Validation,
};

use serde_json::Value;

use super::native::{BoundPolicy, bound, cel, quoted, texts};
use crate::policy::{ADMISSION_LABEL, DENY_ANNOTATION, VERDICT_ANNOTATION, WARN_ANNOTATION};

/// The name of the policy, and of its binding.
pub const NAMESPACE_FENCE: &str = "kube-devops-namespace-fence";

/// Returns the fence around the account that runs the operator.
pub fn namespace_fence(namespace: &str, account: &str) -> BoundPolicy {
    let account = user(namespace, account);
    let (labels, annotations) = (
        quoted([ADMISSION_LABEL].into_iter()),
        quoted([DENY_ANNOTATION, WARN_ANNOTATION, VERDICT_ANNOTATION].into_iter()),
    );
    let keys = [("$labels", labels.as_str()), ("$annotations", annotations.as_str())];
    let validation = |expression, message: &str| Validation {
        expression,
        message: Some(message.to_owned()),
        reason: Some("Forbidden".to_owned()),
        ..Validation::default()
    };
    let is_update = "request.operation == 'UPDATE' && request.?subResource.orValue('') == ''";
    let spec = ValidatingAdmissionPolicySpec {
        failure_policy: Some("Fail".to_owned()),
        match_constraints: Some(MatchResources {
            resource_rules: Some(vec![NamedRuleWithOperations {
                api_groups: Some(texts(&[""])),
                api_versions: Some(texts(&["*"])),
                operations: Some(texts(&["*"])),
                resources: Some(texts(&["namespaces", "namespaces/*"])),
                ..NamedRuleWithOperations::default()
            }]),
            ..MatchResources::default()
        }),
        match_conditions: Some(vec![MatchCondition {
            name: "kube-devops".to_owned(),
            expression: cel(include_str!("namespace_fence/account.cel"), &[("$account", &account)]),
        }]),
        validations: Some(vec![
            validation(
                is_update.to_owned(),
                "kube-devops: the operator may neither create nor delete a Namespace",
            ),
            validation(
                format!("!({is_update}) || {}", cel(include_str!("namespace_fence/same.cel"), &keys)),
                "kube-devops: the operator may only change its own label and annotations of a Namespace",
            ),
        ]),
        ..ValidatingAdmissionPolicySpec::default()
    };
    bound(NAMESPACE_FENCE, &["Deny", "Audit"], spec)
}

/// Returns the account in a namespace that an installed fence is around; `None` for a fence of another form.
pub(super) fn account_of<'f>(fence: &'f Value, namespace: &str) -> Option<&'f str> {
    let condition = fence["spec"]["matchConditions"][0]["expression"].as_str()?;
    let (_, account) = condition.split_once(&format!("'{}", user(namespace, "")))?;
    let account = account.strip_suffix('\'')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || ['-', '.'].contains(&c);
    (!account.is_empty() && account.chars().all(is_name)).then_some(account)
}

fn user(namespace: &str, account: &str) -> String {
    format!("system:serviceaccount:{namespace}:{account}")
}
