//! The permissions that `uninstall` needs.

use super::conflict_policy::CONFLICT_POLICY;
use super::namespace_fence::NAMESPACE_FENCE;
use super::native::{DENY_POLICY, WARN_POLICY};
use super::permissions::{
    ADMISSION, DELETE, GROUP, LEDGER_NAME, LIST, Permission, PermissionScope, RECONCILE_LEASE, WATCH_LEASE,
    WEBHOOK_LEASE, need,
};
use super::self_fence::SELF_FENCE;
use super::webhook::{WEBHOOK_CONFIGURATION, WEBHOOK_SECRET};
use PermissionScope::{Cluster, OwnNamespace};

const LEFT: &str = "it stays in the cluster";

const UNINSTALL: &[Permission] = &[
    need(GROUP, "devopspolicies", &["get", "list", "patch"], Cluster, "policies keep their finalizer"),
    need(
        GROUP,
        "clusterdevopspolicies",
        &["get", "list", "patch"],
        Cluster,
        "cluster policies keep their finalizer",
    ),
    need("", "namespaces", &["list", "patch"], Cluster, "Namespaces keep their verdict"),
    need(ADMISSION, "validatingwebhookconfigurations", DELETE, Cluster, LEFT).named(&[WEBHOOK_CONFIGURATION]),
    need(ADMISSION, "mutatingwebhookconfigurations", DELETE, Cluster, LEFT).named(&[WEBHOOK_CONFIGURATION]),
    need(ADMISSION, "validatingadmissionpolicies", DELETE, Cluster, LEFT).named(OUR_POLICIES),
    need(ADMISSION, "validatingadmissionpolicybindings", DELETE, Cluster, LEFT).named(OUR_POLICIES),
    need(ADMISSION, "mutatingadmissionpolicies", DELETE, Cluster, LEFT).named(&[CONFLICT_POLICY]),
    need(ADMISSION, "mutatingadmissionpolicybindings", DELETE, Cluster, LEFT).named(&[CONFLICT_POLICY]),
    need("", "configmaps", DELETE, OwnNamespace, LEFT).named(&[LEDGER_NAME]),
    need("coordination.k8s.io", "leases", &["list", "delete"], OwnNamespace, LEFT).named(&[
        WATCH_LEASE,
        RECONCILE_LEASE,
        WEBHOOK_LEASE,
    ]),
    need("", "secrets", DELETE, OwnNamespace, LEFT).named(&[WEBHOOK_SECRET]),
    need("apps", "deployments", &["list", "delete"], OwnNamespace, "--stop does not work"),
    need("", "pods", LIST, OwnNamespace, "--stop does not work"),
];

const OUR_POLICIES: &[&str] = &[DENY_POLICY, WARN_POLICY, NAMESPACE_FENCE, SELF_FENCE];

/// Returns the permissions that `uninstall --stop` needs.
pub fn uninstall_permissions() -> &'static [Permission] {
    UNINSTALL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::leftovers;

    #[test]
    fn an_uninstall_may_delete_every_leftover() {
        for leftover in leftovers("kube-devops") {
            let plural = format!("{}s", leftover.kind.to_lowercase()).replace("policys", "policies");
            let may = |permission: &Permission| {
                permission.resource == plural
                    && permission.verbs.contains(&"delete")
                    && permission.names.contains(&&*leftover.name)
            };
            assert!(UNINSTALL.iter().any(may), "{leftover:?}");
        }
    }
}
