//! The objects that remain of kube-devops in a cluster when its Deployments are gone.

use super::{
    CONFLICT_POLICY, DENY_POLICY, GROUP, LEDGER_NAME, NAMESPACE_FENCE, RECONCILE_LEASE, RESOURCES,
    SELF_FENCE, WARN_POLICY, WATCH_LEASE, WEBHOOK_CONFIGURATION, WEBHOOK_LEASE, WEBHOOK_SECRET,
};

/// An object that `uninstall` deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The API version, such as `v1`.
    pub api_version: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The namespace; `None` for an object without one.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

const ADMISSION: &str = "admissionregistration.k8s.io/v1";

/// Returns what remains of an installation in this namespace, in the order of its removal: a binding goes before its
/// policy.
pub fn leftovers(own: &str) -> Vec<Leftover> {
    let cluster =
        |kind, name: &str| Leftover { api_version: ADMISSION, kind, namespace: None, name: name.to_owned() };
    let at_home = |api_version, kind, name: &str| Leftover {
        api_version,
        kind,
        namespace: Some(own.to_owned()),
        name: name.to_owned(),
    };
    let native = [DENY_POLICY, WARN_POLICY, NAMESPACE_FENCE].into_iter().flat_map(|name| {
        [cluster("ValidatingAdmissionPolicyBinding", name), cluster("ValidatingAdmissionPolicy", name)]
    });
    let others = vec![
        // First of all, so that no request waits for a webhook that is gone.
        cluster("ValidatingWebhookConfiguration", WEBHOOK_CONFIGURATION),
        cluster("MutatingWebhookConfiguration", WEBHOOK_CONFIGURATION),
        cluster("ValidatingAdmissionPolicyBinding", SELF_FENCE),
        cluster("ValidatingAdmissionPolicy", SELF_FENCE),
        cluster("MutatingAdmissionPolicyBinding", CONFLICT_POLICY),
        cluster("MutatingAdmissionPolicy", CONFLICT_POLICY),
        at_home("v1", "ConfigMap", LEDGER_NAME),
        at_home("coordination.k8s.io/v1", "Lease", WATCH_LEASE),
        at_home("coordination.k8s.io/v1", "Lease", RECONCILE_LEASE),
        at_home("coordination.k8s.io/v1", "Lease", WEBHOOK_LEASE),
        at_home("v1", "Secret", WEBHOOK_SECRET),
    ];
    others.into_iter().chain(native).collect()
}

/// Returns the CRDs as objects to delete. Their deletion deletes all policies and audit results.
pub fn crd_leftovers() -> Vec<Leftover> {
    let crd = |resource| Leftover {
        api_version: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        namespace: None,
        name: format!("{resource}.{GROUP}"),
    };
    RESOURCES.into_iter().map(crd).collect()
}
