//! An object that is no workload, as an inventory keeps it.

use std::sync::Arc;

use super::{
    Autoscaler, Binding, Content, DisruptionBudget, Identity, Ingress, Keys, NetworkPolicy, Related, Role,
    Service, ServiceAccount,
};
use crate::workload::{LabelSelector, Labels};

/// An object that is no workload.
#[derive(Debug, Clone)]
pub struct Known {
    /// The object.
    pub identity: Identity,
    /// Its metadata and its fields, which a store of watched objects may share.
    pub(super) related: Arc<Related>,
}

/// Accessors of the content of one kind.
macro_rules! accessors {
    ($($name:ident, $variant:ident, $type:ty);+ $(;)?) => {$(
        #[doc = concat!("Returns the content of a `", stringify!($variant), "`; `None` for another kind.")]
        pub fn $name(&self) -> Option<&$type> {
            match self.content() {
                Content::$variant(content) => Some(content),
                _ => None,
            }
        }
    )+};
}

impl Known {
    accessors! {
        service, Service, Service;
        ingress, Ingress, Ingress;
        network_policy, NetworkPolicy, NetworkPolicy;
        service_account, ServiceAccount, ServiceAccount;
        keys, Keys, Keys;
        made_secret, MadeSecret, str;
        disruption_budget, DisruptionBudget, DisruptionBudget;
        autoscaler, Autoscaler, Autoscaler;
        role, Role, Role;
        binding, Binding, Binding;
    }

    /// The fields that rules read.
    pub fn content(&self) -> &Content {
        &self.related.content
    }

    /// The labels; `None` without any.
    pub fn labels(&self) -> Option<&Labels<'static>> {
        self.related.metadata.labels.as_ref()
    }

    /// Returns true if a selector matches the object's labels.
    pub fn has_labels(&self, selector: &LabelSelector<'_>) -> bool {
        self.labels().map_or_else(|| selector.matches(&Labels::default()), |labels| selector.matches(labels))
    }

    /// Returns true if Kubernetes itself made the RBAC object.
    pub fn is_rbac_default(&self) -> bool {
        self.identity.name.starts_with("system:")
            || self.related.metadata.label("kubernetes.io/bootstrapping") == Some("rbac-defaults")
    }
}
