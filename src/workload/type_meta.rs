//! The type of an object, and the kinds of Kubernetes whose objects belong to no namespace.

use serde::Deserialize;

/// The kinds of Kubernetes, past ones too, whose objects belong to no namespace.
const KINDS: [&str; 40] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterCIDR",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterTrustBundle",
    "ComponentStatus",
    "CustomResourceDefinition",
    "DeviceClass",
    "DeviceTaintRule",
    "FlowSchema",
    "IPAddress",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PodSecurityPolicy",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ResourcePoolStatusRequest",
    "ResourceSlice",
    "RuntimeClass",
    "SelfSubjectAccessReview",
    "SelfSubjectReview",
    "SelfSubjectRulesReview",
    "ServiceCIDR",
    "StorageClass",
    "StorageVersionMigration",
    "SubjectAccessReview",
    "TokenReview",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
    "VolumeAttributesClass",
];

/// An object's `apiVersion` and `kind`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeMeta {
    /// The group and version, such as `apps/v1`.
    pub api_version: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
}

impl TypeMeta {
    /// The type of the items of a typed list such as a `PodList`; `None` for any other type.
    pub fn item(&self) -> Option<Self> {
        let kind = self.kind.strip_suffix("List").filter(|kind| !kind.is_empty())?;
        Some(Self { api_version: self.api_version.clone(), kind: kind.to_owned() })
    }

    /// Returns true for a kind of Kubernetes whose objects belong to no namespace. The scope of custom resources is
    /// unknown, and false.
    pub fn is_cluster_scoped(&self) -> bool {
        let group = self.api_version.split_once('/').map_or("", |(group, _)| group);
        let is_own = !group.contains('.') || group.ends_with(".k8s.io");
        is_own && KINDS.contains(&&*self.kind)
    }
}
