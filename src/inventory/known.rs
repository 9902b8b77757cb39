//! An object that is no workload, as an inventory keeps it.

use super::{
    Autoscaler, Binding, Content, DisruptionBudget, Identity, Ingress, Keys, NetworkPolicy, Role, Service,
    ServiceAccount,
};
use crate::workload::Labels;

/// An object that is no workload.
#[derive(Debug, Clone)]
pub struct Known {
    /// The object.
    pub identity: Identity,
    /// Its labels.
    pub labels: Labels<'static>,
    /// Its annotations.
    pub annotations: Labels<'static>,
    /// Its fields. Values of `ConfigMap`s are not among them.
    pub content: Content,
}

/// Accessors of the content of one kind.
macro_rules! accessors {
    ($($name:ident, $variant:ident, $type:ty);+ $(;)?) => {$(
        #[doc = concat!("Returns the content of a `", stringify!($variant), "`; `None` for another kind.")]
        pub fn $name(&self) -> Option<&$type> {
            match &self.content {
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

    /// Returns true if Kubernetes itself made the RBAC object.
    pub fn is_rbac_default(&self) -> bool {
        self.identity.name.starts_with("system:")
            || self.labels.get("kubernetes.io/bootstrapping").is_some_and(|value| &**value == "rbac-defaults")
    }
}
