//! The kinds of Kubernetes whose objects belong to no namespace.

use super::TypeMeta;

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

impl TypeMeta {
    /// Returns true for a kind of Kubernetes whose objects belong to no namespace. The scope of custom resources is
    /// unknown, and false.
    pub fn is_cluster_scoped(&self) -> bool {
        let group = self.api_version.split_once('/').map_or("", |(group, _)| group);
        let is_own = !group.contains('.') || group.ends_with(".k8s.io");
        is_own && KINDS.contains(&&*self.kind)
    }
}
