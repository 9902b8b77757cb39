//! The conflict policy: a `MutatingAdmissionPolicy` by which the API server removes our fields from a write of another
//! client that they would make invalid. It needs no webhook and no running operator.
//!
//! The policy is JSON, because `v1` of these kinds is newer than the API types that we build against. Its expressions
//! are the CEL files in `conflict_policy/`; `tests/cluster/enforcement/conflict_policy.rs` tests their effect.

use serde_json::{Value, json};

use crate::enforcement::KINDS;

/// The name of the policy and of its binding.
pub const CONFLICT_POLICY: &str = "kube-devops-yield";
/// The plural of `MutatingAdmissionPolicy`.
pub const MUTATING_POLICIES: &str = "mutatingadmissionpolicies";
/// The plural of `MutatingAdmissionPolicyBinding`.
pub const MUTATING_POLICY_BINDINGS: &str = "mutatingadmissionpolicybindings";

const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// Reads an expression from its file.
macro_rules! cel {
    ($name:literal) => {
        include_str!(concat!("conflict_policy/", $name, ".cel")).trim_ascii_end()
    };
}

/// The conditions under which the policy applies to a write.
const CONDITIONS: [(&str, &str); 2] = [("patched", cel!("patched")), ("by-another", cel!("by-another"))];

/// The variables of the mutation, in the order of their use.
const VARIABLES: [(&str, &str); 17] = [
    ("containers", cel!("containers")),
    ("names", cel!("names")),
    ("before", cel!("before")),
    ("had", cel!("had")),
    ("patchedFields", cel!("patched-fields")),
    ("entry", cel!("entry")),
    ("ours", cel!("ours")),
    ("others", cel!("others")),
    ("appliers", cel!("appliers")),
    ("gone", cel!("gone")),
    ("probes", cel!("probes")),
    ("stranded", cel!("stranded")),
    ("tunings", cel!("tunings")),
    ("whole", cel!("whole")),
    ("amounts", cel!("amounts")),
    ("claims", cel!("claims")),
    ("kept", cel!("kept")),
];

/// The JSON patch.
const MUTATION: &str = cel!("mutation");

/// Returns the `MutatingAdmissionPolicy` that removes our fields from writes that they would make invalid.
///
/// If it fails, the write passes unchanged. It is evaluated again if a webhook changes the object.
pub fn conflict_policy() -> Value {
    let named = |of: &[(&str, &str)]| -> Vec<Value> {
        of.iter().map(|(name, text)| json!({ "name": name, "expression": text })).collect()
    };
    json!({
        "apiVersion": API_VERSION,
        "kind": "MutatingAdmissionPolicy",
        "metadata": { "name": CONFLICT_POLICY },
        "spec": {
            "failurePolicy": "Ignore",
            "reinvocationPolicy": "IfNeeded",
            "matchConstraints": { "resourceRules": [{
                "apiGroups": ["apps"],
                "apiVersions": ["v1"],
                "operations": ["UPDATE"],
                "resources": KINDS.map(|kind| format!("{}s", kind.name().to_lowercase())),
            }] },
            "matchConditions": named(&CONDITIONS),
            "variables": named(&VARIABLES),
            "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": MUTATION } }],
        },
    })
}

/// Returns the binding that puts the policy into effect everywhere.
pub fn conflict_policy_binding() -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": { "name": CONFLICT_POLICY },
        "spec": { "policyName": CONFLICT_POLICY },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforcement::{FIELD_MANAGER, PATCHED_FIELDS};

    #[test]
    fn each_expression_is_whole_and_uses_only_variables_before_it() {
        let mut known: Vec<&str> = Vec::new();
        for (name, text) in CONDITIONS.into_iter().chain(VARIABLES).chain([("mutation", MUTATION)]) {
            for (open, close) in [('(', ')'), ('[', ']'), ('{', '}')] {
                assert_eq!(text.matches(open).count(), text.matches(close).count(), "{name}: {open}");
            }
            for used in text.split("variables.").skip(1) {
                let used = used.split(|c: char| !c.is_alphanumeric()).next().unwrap();
                assert!(known.contains(&used), "{name} uses {used}");
            }
            known.push(name);
        }
    }

    #[test]
    fn expressions_name_our_field_manager_and_annotation_and_nothing_else_of_ours() {
        for (name, text) in CONDITIONS.into_iter().chain(VARIABLES).chain([("mutation", MUTATION)]) {
            for ours in text.split('\'').filter(|literal| literal.starts_with("devops.stochastic.io/")) {
                let manager = ours.strip_suffix("/Apply").unwrap_or(ours);
                assert!([FIELD_MANAGER, PATCHED_FIELDS].contains(&manager), "{name}: {ours}");
            }
        }
        assert!(CONDITIONS.iter().all(|(_, text)| text.contains(FIELD_MANAGER)));
    }

    #[test]
    fn nothing_is_refused_and_only_patched_kinds_are_met() {
        let policy = conflict_policy();
        assert_eq!(policy["spec"]["failurePolicy"], "Ignore");
        let rule = &policy["spec"]["matchConstraints"]["resourceRules"][0];
        assert_eq!(rule["resources"], json!(["deployments", "statefulsets", "daemonsets"]));
        assert_eq!(rule["operations"], json!(["UPDATE"]));
        assert_eq!(conflict_policy_binding()["spec"]["policyName"], policy["metadata"]["name"]);
    }
}
