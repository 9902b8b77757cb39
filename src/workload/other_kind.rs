//! The kinds that rules read, workloads and others, and the resources by which an API server lists them.

use std::fmt;

use super::{TypeMeta, WorkloadKind};

/// A kind that rules read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the variants are the names of the kinds")]
pub enum Kind {
    Pod,
    /// Every kind with a pod template.
    Template,
    Service,
    Ingress,
    NetworkPolicy,
    /// The network policies of Cilium, Calico and the policy API, which no rule understands.
    ForeignNetworkPolicy,
    Namespace,
    ServiceAccount,
    ConfigMap,
    Secret,
    /// The custom resources whose controller makes a Secret.
    SecretSource,
    PodDisruptionBudget,
    HorizontalPodAutoscaler,
    /// KEDA.
    ScaledObject,
    Role,
    ClusterRole,
    RoleBinding,
    ClusterRoleBinding,
    Node,
    PersistentVolumeClaim,
    PersistentVolume,
    StorageClass,
    EndpointSlice,
    /// The use of resources, as metrics-server and others measure it.
    PodMetrics,
    /// A `LimitRange`, which supplies requests and limits to new pods.
    LimitRange,
}

/// A resource of the API that has objects of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// The kind as rules know it.
    pub kind: Kind,
    /// The kind as the API names it.
    pub name: &'static str,
    /// The plural name in URLs and in RBAC.
    pub plural: &'static str,
    /// The group; the core group has no name.
    pub group: &'static str,
    /// The version that API servers serve.
    pub version: &'static str,
    /// True if the objects have a namespace.
    pub is_namespaced: bool,
    /// True if the resource exists only where a CRD or another product defines it.
    pub is_custom: bool,
}

/// Every resource. One kind can have several.
pub static RESOURCES: [Resource; 46] = [
    core(Kind::Pod, "Pod", "pods"),
    built_in(Kind::Template, "Deployment", "deployments", "apps"),
    built_in(Kind::Template, "StatefulSet", "statefulsets", "apps"),
    built_in(Kind::Template, "DaemonSet", "daemonsets", "apps"),
    built_in(Kind::Template, "ReplicaSet", "replicasets", "apps"),
    core(Kind::Template, "ReplicationController", "replicationcontrollers"),
    built_in(Kind::Template, "Job", "jobs", "batch"),
    built_in(Kind::Template, "CronJob", "cronjobs", "batch"),
    custom(Kind::Template, "Rollout", "rollouts", "argoproj.io", "v1alpha1"),
    custom(Kind::Template, "DeploymentConfig", "deploymentconfigs", "apps.openshift.io", "v1"),
    custom(Kind::Template, "Service", "services", "serving.knative.dev", "v1"),
    custom(Kind::Template, "CloneSet", "clonesets", "apps.kruise.io", "v1alpha1"),
    custom(Kind::Template, "StatefulSet", "statefulsets", "apps.kruise.io", "v1beta1"),
    custom(Kind::Template, "DaemonSet", "daemonsets", "apps.kruise.io", "v1alpha1"),
    core(Kind::Service, "Service", "services"),
    built_in(Kind::Ingress, "Ingress", "ingresses", "networking.k8s.io"),
    built_in(Kind::NetworkPolicy, "NetworkPolicy", "networkpolicies", "networking.k8s.io"),
    custom(Kind::ForeignNetworkPolicy, "CiliumNetworkPolicy", "ciliumnetworkpolicies", "cilium.io", "v2"),
    cluster(
        Kind::ForeignNetworkPolicy,
        "CiliumClusterwideNetworkPolicy",
        "ciliumclusterwidenetworkpolicies",
        ("cilium.io", "v2"),
        true,
    ),
    custom(Kind::ForeignNetworkPolicy, "NetworkPolicy", "networkpolicies", "crd.projectcalico.org", "v1"),
    cluster(
        Kind::ForeignNetworkPolicy,
        "GlobalNetworkPolicy",
        "globalnetworkpolicies",
        ("crd.projectcalico.org", "v1"),
        true,
    ),
    cluster(
        Kind::ForeignNetworkPolicy,
        "AdminNetworkPolicy",
        "adminnetworkpolicies",
        ("policy.networking.k8s.io", "v1alpha1"),
        true,
    ),
    cluster(
        Kind::ForeignNetworkPolicy,
        "BaselineAdminNetworkPolicy",
        "baselineadminnetworkpolicies",
        ("policy.networking.k8s.io", "v1alpha1"),
        true,
    ),
    cluster(
        Kind::ForeignNetworkPolicy,
        "ClusterNetworkPolicy",
        "clusternetworkpolicies",
        ("policy.networking.k8s.io", "v1alpha2"),
        true,
    ),
    cluster(Kind::Namespace, "Namespace", "namespaces", ("", "v1"), false),
    core(Kind::ServiceAccount, "ServiceAccount", "serviceaccounts"),
    core(Kind::ConfigMap, "ConfigMap", "configmaps"),
    core(Kind::Secret, "Secret", "secrets"),
    custom(Kind::SecretSource, "ExternalSecret", "externalsecrets", "external-secrets.io", "v1"),
    custom(Kind::SecretSource, "SealedSecret", "sealedsecrets", "bitnami.com", "v1alpha1"),
    custom(Kind::SecretSource, "Certificate", "certificates", "cert-manager.io", "v1"),
    built_in(Kind::PodDisruptionBudget, "PodDisruptionBudget", "poddisruptionbudgets", "policy"),
    Resource {
        version: "v2",
        ..built_in(
            Kind::HorizontalPodAutoscaler,
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            "autoscaling",
        )
    },
    custom(Kind::ScaledObject, "ScaledObject", "scaledobjects", "keda.sh", "v1alpha1"),
    built_in(Kind::Role, "Role", "roles", RBAC),
    cluster(Kind::ClusterRole, "ClusterRole", "clusterroles", (RBAC, "v1"), false),
    built_in(Kind::RoleBinding, "RoleBinding", "rolebindings", RBAC),
    cluster(Kind::ClusterRoleBinding, "ClusterRoleBinding", "clusterrolebindings", (RBAC, "v1"), false),
    cluster(Kind::Node, "Node", "nodes", ("", "v1"), false),
    core(Kind::PersistentVolumeClaim, "PersistentVolumeClaim", "persistentvolumeclaims"),
    cluster(Kind::PersistentVolume, "PersistentVolume", "persistentvolumes", ("", "v1"), false),
    cluster(Kind::StorageClass, "StorageClass", "storageclasses", ("storage.k8s.io", "v1"), false),
    built_in(Kind::EndpointSlice, "EndpointSlice", "endpointslices", "discovery.k8s.io"),
    custom(Kind::PodMetrics, "PodMetrics", "pods", "metrics.k8s.io", "v1beta1"),
    core(Kind::LimitRange, "LimitRange", "limitranges"),
    // A former group, which manifests still name.
    built_in(Kind::Ingress, "Ingress", "ingresses", "extensions"),
];

const RBAC: &str = "rbac.authorization.k8s.io";

const fn core(kind: Kind, name: &'static str, plural: &'static str) -> Resource {
    built_in(kind, name, plural, "")
}

const fn built_in(kind: Kind, name: &'static str, plural: &'static str, group: &'static str) -> Resource {
    Resource { kind, name, plural, group, version: "v1", is_namespaced: true, is_custom: false }
}

const fn custom(
    kind: Kind,
    name: &'static str,
    plural: &'static str,
    group: &'static str,
    version: &'static str,
) -> Resource {
    Resource { kind, name, plural, group, version, is_namespaced: true, is_custom: true }
}

const fn cluster(
    kind: Kind,
    name: &'static str,
    plural: &'static str,
    (group, version): (&'static str, &'static str),
    is_custom: bool,
) -> Resource {
    Resource { kind, name, plural, group, version, is_namespaced: false, is_custom }
}

impl Resource {
    /// Returns the group and version, such as `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Returns the type of the objects.
    pub fn types(&self) -> TypeMeta {
        TypeMeta { api_version: self.api_version(), kind: self.name.to_owned() }
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 25] = [
        Self::Pod,
        Self::Template,
        Self::Service,
        Self::Ingress,
        Self::NetworkPolicy,
        Self::ForeignNetworkPolicy,
        Self::Namespace,
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::Secret,
        Self::SecretSource,
        Self::PodDisruptionBudget,
        Self::HorizontalPodAutoscaler,
        Self::ScaledObject,
        Self::Role,
        Self::ClusterRole,
        Self::RoleBinding,
        Self::ClusterRoleBinding,
        Self::Node,
        Self::PersistentVolumeClaim,
        Self::PersistentVolume,
        Self::StorageClass,
        Self::EndpointSlice,
        Self::PodMetrics,
        Self::LimitRange,
    ];

    /// Finds the kind of an object that is no workload. Every version of a group is read the same way.
    pub fn find(api_version: &str, kind: &str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let named = |resource: &&Resource| {
            resource.name == kind
                && resource.group == group
                && !matches!(resource.kind, Self::Pod | Self::Template)
        };
        RESOURCES.iter().find(named).map(|resource| resource.kind)
    }

    /// Returns the resources with objects of this kind that an API server can serve.
    pub fn resources(self) -> impl Iterator<Item = &'static Resource> {
        RESOURCES.iter().filter(move |resource| resource.kind == self && resource.group != "extensions")
    }

    /// Returns true if objects of this kind have a namespace.
    pub fn is_namespaced(self) -> bool {
        !matches!(
            self,
            Self::Namespace
                | Self::ClusterRole
                | Self::ClusterRoleBinding
                | Self::Node
                | Self::PersistentVolume
                | Self::StorageClass
        )
    }

    /// Returns the kind's name, as a violation shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Template => "pod template",
            Self::ForeignNetworkPolicy => "network policy of another API",
            Self::SecretSource => "custom resource that makes a Secret",
            kind => kind.resources().next().map_or("", |resource| resource.name),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An object that is no workload, of a kind that rules read.
#[derive(Debug, Clone)]
pub struct OtherObject {
    /// The kind.
    pub kind: Kind,
    /// Everything beside the type.
    pub content: serde_json::Map<String, serde_json::Value>,
}

impl OtherObject {
    /// Returns the object's name, or the prefix of its future name; empty without one.
    pub fn name(&self) -> &str {
        let metadata = self.content.get("metadata");
        let field = |name: &str| metadata.and_then(|metadata| metadata.get(name)?.as_str());
        field("name").or_else(|| field("generateName")).unwrap_or_default()
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kinds(u32);

impl Kinds {
    /// Makes a set.
    pub fn of(kinds: &[Kind]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | 1 << *kind as u32))
    }

    /// Returns the kinds of both sets.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns true if the set has a kind.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    /// Returns true if the set has no kind.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Iterates over the kinds.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

/// The kind of an object with violations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A pod, or a workload with a pod template.
    Workload(WorkloadKind),
    /// Any other object.
    Other(Kind),
}

impl ObjectKind {
    /// Returns the kind's name in the Kubernetes API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Workload(kind) => kind.name(),
            Self::Other(kind) => kind.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_listed_in_the_order_of_the_enum() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind}");
            assert!(
                kind.resources()
                    .next()
                    .is_some_and(|resource| resource.is_namespaced == kind.is_namespaced()
                        || kind == Kind::ForeignNetworkPolicy)
            );
        }
    }

    #[test]
    fn a_kind_is_found_by_its_group() {
        for (api_version, name, kind) in [
            ("v1", "Service", Some(Kind::Service)),
            ("serving.knative.dev/v1", "Service", None),
            ("networking.k8s.io/v1", "Ingress", Some(Kind::Ingress)),
            ("extensions/v1beta1", "Ingress", Some(Kind::Ingress)),
            ("crd.projectcalico.org/v1", "NetworkPolicy", Some(Kind::ForeignNetworkPolicy)),
            ("v1", "Pod", None),
            ("apps/v1", "Deployment", None),
        ] {
            assert_eq!(Kind::find(api_version, name), kind, "{api_version} {name}");
        }
    }

    #[test]
    fn every_workload_of_kubernetes_has_a_resource() {
        for kind in WorkloadKind::ADMITTED {
            let group = kind.api_version().split_once('/').map_or("", |(group, _)| group);
            assert!(RESOURCES.iter().any(|one| one.name == kind.name() && one.group == group));
        }
    }
}
