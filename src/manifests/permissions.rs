//! The permissions that each mode needs. `check` asks the API server for them.

use std::fmt;

use PermissionScope::{Cluster, EvaluatedNamespaces, OwnNamespace};
use serde::Serialize;

use super::conflict_policy::CONFLICT_POLICY;
use super::namespace_fence::NAMESPACE_FENCE;
use super::native::{DENY_POLICY, WARN_POLICY};
use super::webhook::{WEBHOOK_CONFIGURATION, WEBHOOK_SECRET};

/// The API group of OpenReports.
pub const OPEN_REPORTS: &str = "openreports.io";
/// The CRD that mode `reports` writes objects of.
pub const REPORT_CRD: &str = "reports.openreports.io";
/// The API group of the resources of kube-devops.
pub const GROUP: &str = "devops.stochastic.io";
/// The resources that its CRDs define.
pub const RESOURCES: [&str; 3] = ["devopspolicies", "clusterdevopspolicies", "policyauditresults"];

/// The Lease of `watch`, and its source of events.
pub const WATCH_LEASE: &str = "kube-devops-watch";
/// The Lease of `reconcile`, and its source of events.
pub const RECONCILE_LEASE: &str = "kube-devops-reconcile";
/// The Lease of `webhook serve`.
pub const WEBHOOK_LEASE: &str = "kube-devops-webhook";
/// The `ConfigMap` with the budgets of enforcement, in the own namespace.
pub const LEDGER_NAME: &str = "kube-devops-enforcement";
/// The key of the ledger in that `ConfigMap`.
pub const LEDGER_KEY: &str = "ledger";

/// A way to run kube-devops that needs permissions of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One-shot reports
    Analyze,
    /// Continuous scores
    Watch,
    /// The operator, with policies in mode audit
    Reconcile,
    /// The operator, with policies in mode enforce
    Enforce,
    /// The operator, with native admission
    Native,
    /// The operator, with reports of OpenReports
    Reports,
    /// The admission webhook
    Webhook,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 7] = [
        Self::Analyze,
        Self::Watch,
        Self::Reconcile,
        Self::Enforce,
        Self::Native,
        Self::Reports,
        Self::Webhook,
    ];

    /// Returns the permissions that the mode needs.
    pub fn permissions(self) -> Vec<Permission> {
        match self {
            Self::Analyze => ANALYZE.to_vec(),
            Self::Watch => [WATCH, &[lease(&[WATCH_LEASE])]].concat(),
            Self::Reconcile => [RECONCILE, &[lease(&[RECONCILE_LEASE])]].concat(),
            Self::Enforce => {
                [&reconcile_without(&FOLLOW_LIMIT_RANGES), &[lease(&[RECONCILE_LEASE])][..], ENFORCE].concat()
            }
            Self::Native => {
                [&reconcile_without(&FOLLOW_NAMESPACES), &[lease(&[RECONCILE_LEASE])][..], NATIVE].concat()
            }
            Self::Reports => [RECONCILE, &[lease(&[RECONCILE_LEASE])], REPORTS].concat(),
            Self::Webhook => [WEBHOOK, &[lease(&[WEBHOOK_LEASE])]].concat(),
        }
    }

    /// Returns true if the mode can evaluate chosen namespaces alone.
    pub fn takes_namespaces(self) -> bool {
        matches!(self, Self::Analyze | Self::Watch | Self::Reconcile | Self::Enforce | Self::Reports)
    }

    /// Returns true if the mode works only where the CRDs are installed.
    pub fn needs_crds(self) -> bool {
        matches!(self, Self::Reconcile | Self::Enforce | Self::Native | Self::Reports | Self::Webhook)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Analyze => "analyze",
            Self::Watch => "watch",
            Self::Reconcile => "reconcile",
            Self::Enforce => "enforce",
            Self::Native => "native",
            Self::Reports => "reports",
            Self::Webhook => "webhook",
        })
    }
}

/// The reach of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermissionScope {
    /// All namespaces, or a resource without a namespace.
    Cluster,
    /// The evaluated namespaces: all of them unless the command is given some.
    EvaluatedNamespaces,
    /// The namespace that kube-devops runs in.
    OwnNamespace,
}

/// Verbs on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The API group, empty for the core one.
    pub group: &'static str,
    /// The resource.
    pub resource: &'static str,
    /// The subresource.
    pub subresource: Option<&'static str>,
    /// The verbs. All of them are needed.
    pub verbs: &'static [&'static str],
    /// The only objects that are meant; empty for all. `create` is never restricted by name.
    pub names: &'static [&'static str],
    /// Its reach.
    pub scope: PermissionScope,
    /// True if the mode does not work without it.
    pub required: bool,
    /// The effect of not having it.
    pub without: &'static str,
}

impl Permission {
    /// Returns the resource as RBAC writes it, such as `devopspolicies/status`.
    pub fn path(&self) -> String {
        match self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.to_owned(),
        }
    }

    /// Returns the permission to list a resource that rules read, or to follow it. The mode works without it.
    pub(super) const fn of_rules(
        group: &'static str,
        resource: &'static str,
        is_namespaced: bool,
        follows: bool,
    ) -> Self {
        let scope = if is_namespaced { EvaluatedNamespaces } else { Cluster };
        let verbs = if follows { FOLLOW } else { LIST };
        need(group, resource, verbs, scope, "the rules that read it can't tell").optional()
    }

    /// Returns true if whoever has this permission has another one, too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let is_same = |one: &Self| (one.group, one.resource, one.subresource, one.names, one.scope);
        is_same(self) == is_same(other) && other.verbs.iter().all(|verb| self.verbs.contains(verb))
    }

    const fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    pub(super) const fn named(self, names: &'static [&'static str]) -> Self {
        Self { names, ..self }
    }

    const fn of(self, subresource: &'static str) -> Self {
        Self { subresource: Some(subresource), ..self }
    }
}

pub(super) const fn need(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    scope: PermissionScope,
    without: &'static str,
) -> Permission {
    Permission { group, resource, subresource: None, verbs, names: &[], scope, required: true, without }
}

const EVENTS: &str = "events.k8s.io";
pub(super) const ADMISSION: &str = "admissionregistration.k8s.io";
const GET: &[&str] = &["get"];
pub(super) const LIST: &[&str] = &["list"];
pub(super) const DELETE: &[&str] = &["delete"];
const FOLLOW: &[&str] = &["list", "watch"];
const KEEP: &[&str] = &["get", "create", "update"];
const REPORT: &[&str] = &["create", "patch"];
const REPAIR: &[&str] = &["get", "patch"];

/// Returns the permission for the Lease of this name.
const fn lease(names: &'static [&'static str]) -> Permission {
    let verbs = &["get", "create", "update", "watch"];
    let without = "no leader: it only runs with --no-leader-election";
    need("coordination.k8s.io", "leases", verbs, OwnNamespace, without).named(names)
}

const ANALYZE: &[Permission] = &[
    need(
        "",
        "pods",
        LIST,
        EvaluatedNamespaces,
        "only allowed namespaces are analyzed, and the report is partial",
    ),
    need("", "namespaces", LIST, Cluster, "namespaces have to be named unless all pods may be listed")
        .optional(),
    need("", "namespaces", GET, EvaluatedNamespaces, NO_NAMESPACE).optional(),
    need("apps", "deployments", LIST, EvaluatedNamespaces, NOT_LISTED).optional(),
    need("apps", "statefulsets", LIST, EvaluatedNamespaces, NOT_LISTED).optional(),
    need("apps", "daemonsets", LIST, EvaluatedNamespaces, NOT_LISTED).optional(),
    need("apps", "replicasets", LIST, EvaluatedNamespaces, NOT_LISTED).optional(),
    need("", "replicationcontrollers", LIST, EvaluatedNamespaces, NOT_LISTED).optional(),
    need("batch", "jobs", LIST, EvaluatedNamespaces, NOT_LISTED).optional(),
    need("batch", "cronjobs", LIST, EvaluatedNamespaces, NOT_LISTED).optional(),
];

const NOT_LISTED: &str = "their annotations exempt nothing, and the rules that look at them can't tell";

const NO_EXEMPTIONS: &str = "their annotations exempt nothing";

const NO_NAMESPACE: &str = "a namespace that doesn't exist looks like an empty one";

const WATCH: &[Permission] = &[
    need("", "pods", FOLLOW, EvaluatedNamespaces, "no pods are seen: never ready"),
    need("", "namespaces", GET, EvaluatedNamespaces, NO_NAMESPACE).optional(),
    need("", "namespaces", FOLLOW, Cluster, NO_EXEMPTIONS).optional(),
    need("apps", "deployments", FOLLOW, EvaluatedNamespaces, NO_EXEMPTIONS).optional(),
    need("apps", "statefulsets", FOLLOW, EvaluatedNamespaces, NO_EXEMPTIONS).optional(),
    need("apps", "daemonsets", FOLLOW, EvaluatedNamespaces, NO_EXEMPTIONS).optional(),
    need("apps", "replicasets", FOLLOW, EvaluatedNamespaces, NO_EXEMPTIONS).optional(),
    need("", "replicationcontrollers", FOLLOW, EvaluatedNamespaces, NO_EXEMPTIONS).optional(),
    need("batch", "jobs", FOLLOW, EvaluatedNamespaces, NO_EXEMPTIONS).optional(),
    need("batch", "cronjobs", FOLLOW, EvaluatedNamespaces, NO_EXEMPTIONS).optional(),
    need(EVENTS, "events", REPORT, EvaluatedNamespaces, "no events when a namespace's health changes")
        .optional(),
];

const TEMPLATES: &str = "violations of these workloads aren't seen: never ready";

const RECONCILE: &[Permission] = &[
    need("", "pods", FOLLOW, EvaluatedNamespaces, "no pods are seen: never ready"),
    need("apps", "deployments", FOLLOW, EvaluatedNamespaces, TEMPLATES),
    need("apps", "statefulsets", FOLLOW, EvaluatedNamespaces, TEMPLATES),
    need("apps", "daemonsets", FOLLOW, EvaluatedNamespaces, TEMPLATES),
    need("apps", "replicasets", FOLLOW, EvaluatedNamespaces, TEMPLATES),
    need("", "replicationcontrollers", FOLLOW, EvaluatedNamespaces, TEMPLATES),
    need("batch", "jobs", FOLLOW, EvaluatedNamespaces, TEMPLATES),
    need("batch", "cronjobs", FOLLOW, EvaluatedNamespaces, TEMPLATES),
    need("", "services", FOLLOW, EvaluatedNamespaces, "the ports to probe aren't known: never ready"),
    need(GROUP, "devopspolicies", FOLLOW, EvaluatedNamespaces, "no policies are seen: never ready"),
    need(
        GROUP,
        "devopspolicies",
        &["patch"],
        EvaluatedNamespaces,
        "no finalizers: nothing is cleaned up after a deleted policy",
    ),
    need(GROUP, "devopspolicies", &["patch"], EvaluatedNamespaces, "policies show no score").of("status"),
    need(GROUP, "clusterdevopspolicies", FOLLOW, Cluster, NO_CLUSTER_POLICIES).optional(),
    need(
        GROUP,
        "clusterdevopspolicies",
        &["patch"],
        Cluster,
        "no finalizers: nothing is cleaned up after a deleted cluster policy",
    )
    .optional(),
    need(GROUP, "clusterdevopspolicies", &["patch"], Cluster, "cluster policies show no score")
        .of("status")
        .optional(),
    need(
        GROUP,
        "policyauditresults",
        &["list", "watch", "create", "delete"],
        EvaluatedNamespaces,
        "no audit trail, or one that only grows",
    ),
    need(
        "",
        "namespaces",
        &["get"],
        EvaluatedNamespaces,
        "writes to terminating namespaces fail and are reported as errors",
    )
    .optional(),
    FOLLOW_NAMESPACES,
    FOLLOW_LIMIT_RANGES,
    need(EVENTS, "events", REPORT, EvaluatedNamespaces, "no events about policies and workloads").optional(),
];

/// Returns the permissions of the operator without one that a mode requires itself.
fn reconcile_without(optional: &Permission) -> Vec<Permission> {
    RECONCILE.iter().filter(|permission| *permission != optional).copied().collect()
}

/// The permission by which the operator sees the exemptions and the labels of Namespaces.
const FOLLOW_NAMESPACES: Permission = need(
    "",
    "namespaces",
    FOLLOW,
    Cluster,
    "their annotations exempt nothing, and no cluster policy is in effect",
)
.optional();

/// The permission by which the operator sees the requests and limits that new pods get.
const FOLLOW_LIMIT_RANGES: Permission = need(
    "",
    "limitranges",
    FOLLOW,
    EvaluatedNamespaces,
    "the rule missing-resources can't tell about workloads without pods",
)
.optional();

const NO_CLUSTER_POLICIES: &str = "no cluster policy is in effect";

const REPAIRED: &str = "these workloads are never repaired, and failed patches are not withdrawn";

const NO_YIELD: &str = "the condition Enforcing can't say if the conflict policy is in effect";

const ENFORCE: &[Permission] = &[
    need("apps", "deployments", REPAIR, EvaluatedNamespaces, REPAIRED),
    need("apps", "statefulsets", REPAIR, EvaluatedNamespaces, REPAIRED),
    need("apps", "daemonsets", REPAIR, EvaluatedNamespaces, REPAIRED),
    need(
        "",
        "pods",
        &["delete"],
        EvaluatedNamespaces,
        "a StatefulSet stays stuck after a withdrawal until its pod is deleted",
    ),
    need(
        "",
        "configmaps",
        KEEP,
        OwnNamespace,
        "nothing is repaired: budgets and undo records can't be stored",
    )
    .named(&[LEDGER_NAME]),
    need(
        "policy",
        "poddisruptionbudgets",
        LIST,
        EvaluatedNamespaces,
        "nothing is repaired: disruption budgets can't be checked",
    ),
    need(
        "autoscaling",
        "horizontalpodautoscalers",
        LIST,
        EvaluatedNamespaces,
        "nothing is repaired: an autoscaler might use the resources",
    ),
    need("", "limitranges", FOLLOW, EvaluatedNamespaces, "nothing is repaired: a LimitRange might supply resources"),
    need("", "resourcequotas", LIST, EvaluatedNamespaces, "nothing is repaired: a quota might refuse the pods"),
    need(
        "autoscaling.k8s.io",
        "verticalpodautoscalers",
        LIST,
        EvaluatedNamespaces,
        "with VerticalPodAutoscalers installed, resources are never set: one might manage them",
    )
    .optional(),
    need(
        "apps",
        "controllerrevisions",
        LIST,
        EvaluatedNamespaces,
        "no DaemonSet is repaired: its new pods can't be identified",
    ),
    need(
        "",
        "persistentvolumeclaims",
        LIST,
        EvaluatedNamespaces,
        "a workload with a claim is patched only with remediation.allowDowntime: its claims count as ReadWriteOnce",
    )
    .optional(),
    need("", "nodes", &["get"], Cluster, "pods on a broken node count against a patch").optional(),
    need(EVENTS, "events", LIST, EvaluatedNamespaces, "verified patches that do harm later are not withdrawn for their probes")
        .optional(),
    need(ADMISSION, "mutatingadmissionpolicies", GET, Cluster, NO_YIELD).named(&[CONFLICT_POLICY]).optional(),
    need(ADMISSION, "mutatingadmissionpolicybindings", GET, Cluster, NO_YIELD).named(&[CONFLICT_POLICY]).optional(),
];

const NO_DRIFT: &str = "the condition Admission can't say if the admission policies are in effect";

const NATIVE: &[Permission] = &[
    need("", "namespaces", FOLLOW, Cluster, "no verdict is kept: never ready"),
    need("", "namespaces", &["patch"], Cluster, "no verdict is kept: nothing is denied or warned about"),
    need(ADMISSION, "validatingadmissionpolicies", GET, Cluster, NO_DRIFT)
        .named(&[DENY_POLICY, WARN_POLICY, NAMESPACE_FENCE])
        .optional(),
    need(ADMISSION, "validatingadmissionpolicybindings", GET, Cluster, NO_DRIFT)
        .named(&[DENY_POLICY, WARN_POLICY, NAMESPACE_FENCE])
        .optional(),
];

const KEEP_REPORTS: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

const REPORTS: &[Permission] = &[
    need(OPEN_REPORTS, "reports", KEEP_REPORTS, EvaluatedNamespaces, "no reports of OpenReports are kept"),
    need(
        OPEN_REPORTS,
        "clusterreports",
        KEEP_REPORTS,
        Cluster,
        "no reports on objects without a namespace are kept",
    )
    .optional(),
];

const NOT_LEFT: &str = "the webhook also evaluates the rules that native admission holds";

const WEBHOOK: &[Permission] = &[
    need(GROUP, "devopspolicies", FOLLOW, Cluster, "every object is allowed with a warning: never ready"),
    need(GROUP, "clusterdevopspolicies", FOLLOW, Cluster, NO_CLUSTER_POLICIES).optional(),
    need(
        "",
        "namespaces",
        FOLLOW,
        Cluster,
        "their annotations exempt nothing, no cluster policy is in effect, and the webhook also evaluates the rules that \
         native admission holds",
    )
    .optional(),
    need(ADMISSION, "validatingadmissionpolicies", FOLLOW, Cluster, NOT_LEFT)
        .named(&[DENY_POLICY, WARN_POLICY])
        .optional(),
    need(ADMISSION, "validatingadmissionpolicybindings", FOLLOW, Cluster, NOT_LEFT)
        .named(&[DENY_POLICY, WARN_POLICY])
        .optional(),
    need("", "secrets", KEEP, OwnNamespace, "no certificate of its own: it only runs with --tls-cert")
        .named(&[WEBHOOK_SECRET])
        .optional(),
    need(
        ADMISSION,
        "validatingwebhookconfigurations",
        &["get", "update"],
        Cluster,
        "the API server stops trusting the webhook when certificates rotate, and a break-glass does not end",
    )
    .named(&[WEBHOOK_CONFIGURATION])
    .optional(),
    need(
        ADMISSION,
        "mutatingwebhookconfigurations",
        &["get", "update"],
        Cluster,
        "the API server stops requesting defaults when certificates rotate, and a break-glass does not end",
    )
    .named(&[WEBHOOK_CONFIGURATION])
    .optional(),
    need("", "services", FOLLOW, Cluster, NO_DEFAULTS).optional(),
    need("", "limitranges", FOLLOW, Cluster, NO_DEFAULTS).optional(),
    need("", "resourcequotas", FOLLOW, Cluster, NO_DEFAULTS).optional(),
    need("autoscaling", "horizontalpodautoscalers", FOLLOW, Cluster, NO_DEFAULTS).optional(),
    need(
        "autoscaling.k8s.io",
        "verticalpodautoscalers",
        FOLLOW,
        Cluster,
        "with VerticalPodAutoscalers installed, new workloads get no resources: one might manage them",
    )
    .optional(),
    need(
        "",
        "persistentvolumeclaims",
        FOLLOW,
        Cluster,
        "a new workload with a claim gets defaults only with remediation.allowDowntime",
    )
    .optional(),
    need("", "configmaps", GET, OwnNamespace, NO_DEFAULTS).named(&[LEDGER_NAME]).optional(),
];

const NO_DEFAULTS: &str = "new workloads get no defaults, even where a policy has admission.mutate";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn verbs(mode: Mode) -> Vec<(String, &'static str)> {
        let permissions = mode.permissions();
        permissions.iter().flat_map(|p| p.verbs.iter().map(|verb| (p.path(), *verb))).collect()
    }

    #[test]
    fn no_mode_repeats_a_verb_or_uses_a_wildcard() {
        for mode in Mode::ALL {
            let all = verbs(mode);
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{mode}");
            assert!(all.iter().all(|(resource, verb)| *verb != "*" && resource != "*"), "{mode}");
        }
    }

    #[test]
    fn only_enforcement_writes_workloads() {
        let workloads = [
            "pods",
            "deployments",
            "statefulsets",
            "daemonsets",
            "replicasets",
            "replicationcontrollers",
            "jobs",
            "cronjobs",
        ];
        for mode in Mode::ALL.into_iter().filter(|mode| *mode != Mode::Enforce) {
            for (resource, verb) in verbs(mode) {
                let reads = ["get", "list", "watch"].contains(&verb);
                assert!(reads || !workloads.contains(&&*resource), "{mode}: {verb} {resource}");
            }
        }
    }

    #[test]
    fn enforcement_patches_three_kinds_and_deletes_only_pods() {
        let audit = verbs(Mode::Reconcile);
        let added = ENFORCE.iter().filter(|permission| ["", "apps", "batch"].contains(&permission.group));
        let writes: Vec<_> = added
            .filter(|permission| permission.scope != OwnNamespace)
            .flat_map(|permission| permission.verbs.iter().map(|verb| (permission.path(), *verb)))
            .filter(|(_, verb)| !["get", "list", "watch"].contains(verb))
            .collect();
        let of = |resource: &str, verb| (resource.to_owned(), verb);
        let expected = [
            of("deployments", "patch"),
            of("statefulsets", "patch"),
            of("daemonsets", "patch"),
            of("pods", "delete"),
        ];
        assert_eq!(writes, expected);
        assert!(expected.iter().all(|write| !audit.contains(write)));
    }

    #[test]
    fn leases_config_maps_and_secrets_stay_in_the_own_namespace() {
        for permission in Mode::ALL.into_iter().flat_map(Mode::permissions) {
            if ["leases", "configmaps", "secrets"].contains(&permission.resource) {
                assert_eq!(permission.scope, OwnNamespace, "{}", permission.resource);
            }
        }
    }
}
