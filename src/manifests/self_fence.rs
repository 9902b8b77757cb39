//! The fence around our own account: a `ValidatingAdmissionPolicy` by which the API server refuses everything that
//! enforcement never does.
//!
//! RBAC cannot say which fields of a Deployment an account may change. With the fence, a stolen token of the operator can
//! set TCP probes, CPU and memory, and nothing else. The expressions are the `.cel` files beside this one.

use serde_json::{Value, json};

use super::admission::with_defaults;
use crate::policy::NAMED_SYSTEM_NAMESPACES;

/// The name of the policy and of its binding.
pub const SELF_FENCE: &str = "kube-devops-self-fence";

const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// The variables, in the order of their use.
const VARIABLES: [(&str, &str); 12] = [
    ("new", "dyn(object)"),
    ("old", "dyn(oldObject)"),
    ("update", include_str!("self_fence/update.cel")),
    ("delete", include_str!("self_fence/delete.cel")),
    ("containers", "variables.new.spec.template.spec.containers"),
    ("before", "variables.old.spec.template.spec.containers"),
    ("pairs", include_str!("self_fence/pairs.cel")),
    ("same", include_str!("self_fence/same.cel")),
    ("annotations", include_str!("self_fence/annotations.cel")),
    ("amounts", include_str!("self_fence/amounts.cel")),
    ("probes", include_str!("self_fence/probes.cel")),
    ("removes", include_str!("self_fence/removes.cel")),
];

/// The checks with the messages of their refusals.
const VALIDATIONS: [(&str, &str); 5] = [
    (include_str!("self_fence/unprotected.cel"), "kube-devops: the namespace is protected"),
    (
        "variables.update || variables.delete",
        "kube-devops: only updates of Deployments, StatefulSets and DaemonSets, and deletions of a StatefulSet's pod",
    ),
    (
        "!variables.update || variables.same && variables.annotations && variables.amounts",
        "kube-devops: only probes, CPU, memory, and annotations of devops.stochastic.io",
    ),
    (
        "!variables.update || variables.removes || variables.probes",
        "kube-devops: a probe may only connect to a TCP port of the pod",
    ),
    (
        "!variables.update || variables.removes \
         || variables.old.metadata.?annotations[?'devops.stochastic.io/ignore'].orValue('') != 'true'",
        "kube-devops: the workload is to be ignored; only a withdrawal of our fields may change it",
    ),
];

/// Returns the policy and its binding.
///
/// `own` is the namespace of the installation, and `system` are further system namespaces; both are protected. `account`
/// is the operator's.
pub fn self_fence(own: &str, account: &str, system: &[String]) -> [Value; 2] {
    let account = format!("system:serviceaccount:{own}:{account}");
    let named = NAMED_SYSTEM_NAMESPACES.into_iter().chain([own]).chain(system.iter().map(String::as_str));
    let protected: Vec<_> = named.map(|name| format!("'{name}'")).collect();
    let protected = protected.join(", ");
    let cel = |text: &str| expression(text).replace("$account", &account).replace("$protected", &protected);
    let mut policy = json!({
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": SELF_FENCE },
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": { "resourceRules": [
                rule("apps", &["*/*"]),
                rule("batch", &["*/*"]),
                rule("", &[
                    "pods", "pods/ephemeralcontainers", "pods/resize", "pods/exec", "pods/attach", "pods/eviction",
                    "replicationcontrollers", "replicationcontrollers/scale",
                ]),
            ] },
            "matchConditions": [
                { "name": "kube-devops", "expression": cel(include_str!("self_fence/account.cel")) },
            ],
            "variables": VARIABLES.map(|(name, text)| json!({ "name": name, "expression": cel(text) })),
            "validations": VALIDATIONS.map(|(text, message)| json!({
                "reason": "Forbidden", "expression": cel(text), "message": message,
            })),
        },
    });
    policy["spec"] = with_defaults(&policy["spec"]);
    let binding = json!({
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": SELF_FENCE },
        "spec": { "policyName": SELF_FENCE, "validationActions": ["Deny", "Audit"] },
    });
    [policy, binding]
}

fn rule(group: &str, resources: &[&str]) -> Value {
    json!({ "apiGroups": [group], "apiVersions": ["*"], "operations": ["*"], "resources": resources })
}

/// Returns an expression without comments and without the line break at its end.
fn expression(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fence_is_about_our_account_and_protects_our_namespace_and_those_of_the_flags() {
        let [policy, binding] = self_fence("ops", "kube-devops-reconcile", &["infra".to_owned()]);
        let condition = policy["spec"]["matchConditions"][0]["expression"].as_str().unwrap();
        assert_eq!(
            condition,
            "request.userInfo.?username.orValue('') == 'system:serviceaccount:ops:kube-devops-reconcile'"
        );
        let protected = policy["spec"]["validations"][0]["expression"].as_str().unwrap();
        assert!(protected.ends_with("'argocd', 'ops', 'infra'])"), "{protected}");
        assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
    }

    #[test]
    fn no_expression_has_a_placeholder_or_a_comment_left() {
        let text = self_fence("ops", "kube-devops-reconcile", &[])[0].to_string();
        assert!(!text.contains('$') && !text.contains("// "), "{text}");
    }
}
