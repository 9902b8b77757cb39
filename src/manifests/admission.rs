//! Everything that native admission and enforcement install in the API server's admission, in the order to apply it.

use serde_json::{Map, Value, json};

use super::namespace_fence::{NAMESPACE_FENCE, account_of, namespace_fence};
use super::native::{BoundPolicy, DENY_POLICY, WARN_POLICY, native_policies};
use super::{conflict_policy, conflict_policy_binding, manifest};

/// The choices of the admission policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionSettings {
    /// The namespace of the installation.
    pub namespace: String,
    /// The ServiceAccount of the operator.
    pub account: String,
    /// Further system namespaces.
    pub system_namespaces: Vec<String>,
}

/// Returns the policies of native admission, the fence on Namespaces, and the conflict policy, each before its binding.
pub fn admission_policies(settings: &AdmissionSettings) -> serde_json::Result<Vec<Value>> {
    let AdmissionSettings { namespace, account, system_namespaces } = settings;
    let [deny, warn] = native_policies(namespace, system_namespaces);
    let mut objects = Vec::new();
    // The fence stands before anything that it guards.
    for BoundPolicy { policy, binding } in [namespace_fence(namespace, account), deny, warn] {
        objects.extend([manifest(&policy)?, manifest(&binding)?]);
    }
    objects.extend([conflict_policy(), conflict_policy_binding()]);
    for object in &mut objects {
        object["spec"] = with_defaults(&object["spec"]);
    }
    Ok(objects)
}

/// Returns true for the policies that deny and that warn by the verdicts on Namespaces, and for their bindings.
pub fn evaluates_natively(object: &Value) -> bool {
    [DENY_POLICY, WARN_POLICY].iter().any(|name| object["metadata"]["name"] == *name)
}

/// Returns true if an installed admission policy or binding says the same as the wanted one: nothing less, and nothing
/// more than the defaults of the API server. One more selector can take a policy out of effect.
pub fn is_installed_as(installed: &Value, wanted: &Value) -> bool {
    with_defaults(&installed["spec"]) == with_defaults(&wanted["spec"])
}

/// Returns true if `wanted` is the fence on Namespaces, and the installed one is the same around another account of the
/// installation's namespace.
pub fn is_fence_of(settings: &AdmissionSettings, wanted: &Value, installed: &Value) -> bool {
    let namespace = &settings.namespace;
    let is_fence = wanted["metadata"]["name"] == NAMESPACE_FENCE;
    let account = account_of(installed, namespace).filter(|_| is_fence);
    let chosen = account.and_then(|account| manifest(&namespace_fence(namespace, account).policy).ok());
    chosen.is_some_and(|chosen| is_installed_as(installed, &chosen))
}

/// Sets the defaults of the API server in the spec of an admission policy or of a binding.
///
/// `matchConstraints` is atomic for server-side apply: without its defaults, each apply would change it, and so conflict
/// with every other manager that applied the same.
///
/// Source: `pkg/apis/admissionregistration/v1/defaults.go` of Kubernetes.
pub(super) fn with_defaults(spec: &Value) -> Value {
    let set = |object: &mut Map<String, Value>, field: &str, value: Value| {
        object.entry(field).or_insert(value);
    };
    let mut spec = spec.clone();
    for field in ["matchConstraints", "matchResources"] {
        let Some(Value::Object(matched)) = spec.get_mut(field) else { continue };
        set(matched, "matchPolicy", json!("Equivalent"));
        set(matched, "namespaceSelector", json!({}));
        set(matched, "objectSelector", json!({}));
        for field in ["resourceRules", "excludeResourceRules"] {
            let rules = matched.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten();
            rules.filter_map(Value::as_object_mut).for_each(|rule| set(rule, "scope", json!("*")));
        }
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(account: &str) -> AdmissionSettings {
        AdmissionSettings {
            namespace: "kube-devops".to_owned(),
            account: account.to_owned(),
            system_namespaces: vec!["platform".to_owned()],
        }
    }

    /// Returns an object by kind and name, with the defaults that the API server sets.
    fn stored(kind: &str, name: &str) -> Value {
        let all = admission_policies(&settings("operator")).unwrap();
        let mut object =
            all.into_iter().find(|one| one["kind"] == kind && one["metadata"]["name"] == name).unwrap();
        object["spec"] = with_defaults(&object["spec"]);
        object
    }

    fn is_right(installed: &Value, account: &str) -> bool {
        let settings = settings(account);
        let same = |one: &Value, field: &str| one[field] == installed[field];
        let wanted = admission_policies(&settings).unwrap().into_iter();
        let mut wanted = wanted.filter(|one| same(one, "kind") && same(one, "metadata"));
        let wanted = wanted.next().unwrap();
        is_installed_as(installed, &wanted) || is_fence_of(&settings, &wanted, installed)
    }

    #[test]
    fn only_defaults_of_the_api_server_may_differ() {
        let never = json!({ "matchLabels": { "never": "set" } });
        for (kind, pointer, value) in [
            ("ValidatingAdmissionPolicy", "/spec/matchConstraints/objectSelector", never.clone()),
            ("ValidatingAdmissionPolicy", "/spec/matchConstraints/excludeResourceRules", json!([{}])),
            ("ValidatingAdmissionPolicy", "/spec/matchConstraints/resourceRules/0/scope", json!("Cluster")),
            ("ValidatingAdmissionPolicy", "/spec/failurePolicy", json!("Ignore")),
            ("ValidatingAdmissionPolicy", "/spec/paramKind", json!({ "kind": "ConfigMap" })),
            (
                "ValidatingAdmissionPolicyBinding",
                "/spec/matchResources",
                json!({ "namespaceSelector": never }),
            ),
            ("ValidatingAdmissionPolicyBinding", "/spec/paramRef", json!({ "name": "a" })),
            ("ValidatingAdmissionPolicyBinding", "/spec/validationActions", json!(["Audit"])),
        ] {
            for name in ["kube-devops-deny", "kube-devops-warn", "kube-devops-namespace-fence"] {
                let mut installed = stored(kind, name);
                assert!(is_right(&installed, "operator"), "{kind} {name}");
                let (parent, field) = pointer.rsplit_once('/').unwrap();
                installed.pointer_mut(parent).unwrap()[field] = value.clone();
                assert!(!is_right(&installed, "operator"), "{kind} {name} {pointer}");
            }
        }
    }

    #[test]
    fn the_fence_may_be_around_any_account_of_the_namespace_and_around_nothing_else() {
        let fence = stored("ValidatingAdmissionPolicy", NAMESPACE_FENCE);
        assert!(is_right(&fence, "operator") && is_right(&fence, "another"));
        let condition = |expression: &str| {
            let mut fence = fence.clone();
            fence["spec"]["matchConditions"][0]["expression"] = json!(expression);
            fence
        };
        let wanted = "request.userInfo.?username.orValue('') == 'system:serviceaccount:kube-devops:";
        assert!(is_right(&condition(&format!("{wanted}mine'")), "operator"));
        for other in
            ["false", &format!("{wanted}mine' && 'a' == 'b'"), &wanted.replace("kube-devops:", "shop:mine'")]
        {
            assert!(!is_right(&condition(other), "operator"), "{other}");
        }
    }
}
