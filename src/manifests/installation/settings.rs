//! The choices of an installation.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Component;
use crate::manifests::{Mode, RulePermissions};

/// The name of the application, and the prefix of all names.
pub const APP: &str = "kube-devops";
/// The namespace of an installation unless another one is chosen.
pub const DEFAULT_NAMESPACE: &str = "kube-devops";
/// The image of this version. Its registry is up to the installation.
pub const DEFAULT_IMAGE: &str = concat!("kube-devops:", env!("CARGO_PKG_VERSION"));

/// An installation: its place, its image and its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Installation {
    /// The namespace that kube-devops runs in.
    pub namespace: String,
    /// The image.
    pub image: String,
    /// The number of replicas of each Deployment.
    pub replicas: u32,
    /// The modes. `enforce` includes `reconcile`.
    pub modes: Vec<Mode>,
    /// The namespaces that `watch` evaluates; empty for all of them. With some, it has no `ClusterRole`.
    pub namespaces: Vec<String>,
    /// The namespaces that `reconcile` works in; empty for all of them. With some, it has no `ClusterRole`, and there is no
    /// native admission.
    pub reconcile_namespaces: Vec<String>,
    /// The rules for which the operator may read other objects than pods and workloads.
    pub rule_permissions: RulePermissions,
    /// Further system namespaces.
    pub system_namespaces: Vec<String>,
    /// True if the CRDs are part of it.
    pub crds: bool,
    /// True if the fence around the operator's account is part of it.
    pub self_fence: bool,
    /// True if the configurations by which the API server calls the webhook are part of it. `webhook install-config`
    /// writes them otherwise.
    pub registers: bool,
    /// True to refuse objects while the webhook does not answer.
    pub fail_closed: bool,
    /// True if `NetworkPolicies` are part of it.
    pub network_policies: bool,
}

impl Default for Installation {
    fn default() -> Self {
        Self {
            namespace: DEFAULT_NAMESPACE.to_owned(),
            image: DEFAULT_IMAGE.to_owned(),
            replicas: 2,
            modes: vec![Mode::Watch, Mode::Enforce, Mode::Native],
            namespaces: Vec::new(),
            reconcile_namespaces: Vec::new(),
            rule_permissions: RulePermissions::Score,
            system_namespaces: Vec::new(),
            crds: true,
            self_fence: true,
            registers: true,
            fail_closed: false,
            network_policies: false,
        }
    }
}

impl Installation {
    /// Returns the modes to install, without one that another one includes.
    pub(super) fn effective_modes(&self) -> BTreeSet<Mode> {
        let mut modes: BTreeSet<_> = self.modes.iter().copied().collect();
        // These add to the permissions of the operator, which has one account.
        let mut of_operator = [Mode::Enforce, Mode::Reconcile, Mode::Native, Mode::Reports].into_iter();
        if of_operator.any(|mode| modes.contains(&mode)) {
            for mode in of_operator {
                modes.remove(&mode);
            }
        }
        modes
    }

    /// Returns true if native admission is part of the installation.
    pub(super) fn has_native_admission(&self) -> bool {
        self.modes.contains(&Mode::Native) && self.reconcile_namespaces.is_empty()
    }

    /// Returns true if the operator keeps reports.
    pub(super) fn has_reports(&self) -> bool {
        self.modes.contains(&Mode::Reports)
    }

    /// Returns the namespaces that a mode works in; empty for all of them.
    pub(super) fn namespaces_of(&self, mode: Mode) -> &[String] {
        match Component::of(mode) {
            Some(Component::Reconcile) => &self.reconcile_namespaces,
            Some(Component::Webhook) => &[],
            Some(Component::Watch) | None => &self.namespaces,
        }
    }

    /// Returns the modes whose permissions the account of an effective mode has, each of which adds to those before it.
    pub(super) fn modes_within(&self, mode: Mode) -> Vec<Mode> {
        if Component::of(mode) != Some(Component::Reconcile) {
            return vec![mode];
        }
        let added = [Mode::Enforce, Mode::Native, Mode::Reports];
        let is_added = |added: &Mode| *added == mode || self.modes.contains(added);
        let is_possible = |added: &Mode| *added != Mode::Native || self.reconcile_namespaces.is_empty();
        let added = added.into_iter().filter(|added| is_added(added) && is_possible(added));
        [Mode::Reconcile].into_iter().chain(added).collect()
    }

    /// Returns the components to install.
    pub(in crate::manifests) fn components(&self) -> BTreeSet<Component> {
        self.effective_modes().into_iter().filter_map(Component::of).collect()
    }

    /// Returns the metadata of an object in the namespace of the installation.
    pub(in crate::manifests) fn metadata(&self, name: &str, component: Option<Component>) -> Value {
        json!({ "name": name, "namespace": self.namespace, "labels": labels(component) })
    }
}

/// Returns the labels of an object.
pub(super) fn labels(component: Option<Component>) -> Value {
    let mut labels = selector(component);
    labels["app.kubernetes.io/part-of"] = APP.into();
    labels
}

/// Returns the labels by which pods are selected.
pub(crate) fn selector(component: Option<Component>) -> Value {
    let mut labels = json!({ "app.kubernetes.io/name": APP, "app.kubernetes.io/instance": APP });
    if let Some(component) = component {
        labels["app.kubernetes.io/component"] = component.command().into();
    }
    labels
}
