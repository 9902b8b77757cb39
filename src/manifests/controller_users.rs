//! The users of the controllers whose objects admission does not evaluate again.

/// The users of the controllers that create pods, or objects with a pod template, for an object that admission
/// evaluates.
///
/// Source: [`controller_names.go`](https://github.com/kubernetes/kubernetes/blob/v1.36.3/cmd/kube-controller-manager/names/controller_names.go)
/// and the service accounts in `rbac/bootstrappolicy/controller_policy.go`.
pub const CONTROLLER_USERS: [&str; 8] = [
    "system:kube-controller-manager",
    "system:serviceaccount:kube-system:cronjob-controller",
    "system:serviceaccount:kube-system:daemon-set-controller",
    "system:serviceaccount:kube-system:deployment-controller",
    "system:serviceaccount:kube-system:job-controller",
    "system:serviceaccount:kube-system:replicaset-controller",
    "system:serviceaccount:kube-system:replication-controller",
    "system:serviceaccount:kube-system:statefulset-controller",
];
