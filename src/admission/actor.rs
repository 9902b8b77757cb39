//! Recognizes the objects that a controller of Kubernetes makes for an object that was admitted itself.

use crate::workload::{Workload, WorkloadKind};

/// The user of kube-controller-manager without `--use-service-account-credentials`.
const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";

/// The prefix of the users of its controllers with that flag.
const SERVICE_ACCOUNTS: &str = "system:serviceaccount:kube-system:";

/// The service accounts of the controllers that make pods, or objects with a pod template.
///
/// Source: [`controller_names.go`](https://github.com/kubernetes/kubernetes/blob/v1.36.3/cmd/kube-controller-manager/names/controller_names.go)
/// and the service accounts in `rbac/bootstrappolicy/controller_policy.go`.
const CONTROLLERS: [&str; 7] = [
    "cronjob-controller",
    "daemon-set-controller",
    "deployment-controller",
    "job-controller",
    "replicaset-controller",
    "replication-controller",
    "statefulset-controller",
];

/// Tells whether the API server's own controllers wrote the object for an owner that admission judges.
///
/// The owner reference alone proves nothing, because every client can write one.
pub(super) fn is_made_by_controller(user: &str, object: &Workload<'_>) -> bool {
    let is_controller = user == CONTROLLER_MANAGER
        || user.strip_prefix(SERVICE_ACCOUNTS).is_some_and(|name| CONTROLLERS.contains(&name));
    is_controller
        && object
            .metadata
            .controller()
            .is_some_and(|owner| WorkloadKind::ADMITTED.iter().any(|kind| kind.name() == &*owner.kind))
}
