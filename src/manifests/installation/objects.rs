//! The objects of an installation, in the order in which they are to be applied.

use serde_json::Value;

use super::rbac::{one_shot_account, roles};
use super::user_roles::user_roles;
use super::{Component, Installation, network, workloads};
use crate::manifests::{AdmissionSettings, Mode, admission_policies, crds, manifest, self_fence};

/// Returns all objects of an installation.
pub fn all(installation: &Installation) -> serde_json::Result<Vec<Value>> {
    let mut objects = vec![workloads::namespace(installation)];
    if installation.crds {
        objects.extend(crds().iter().map(manifest).collect::<Result<Vec<_>, _>>()?);
    }
    objects.extend(rbac(installation));
    if installation.self_fence && installation.components().contains(&Component::Reconcile) {
        objects.extend(self_fence(&installation.namespace, &installation.system_namespaces));
    }
    for component in installation.components() {
        objects.push(workloads::service(installation, component));
        objects.push(workloads::disruption_budget(installation, component));
        if installation.network_policies {
            objects.push(network::network_policy(installation, component));
        }
    }
    if installation.components().contains(&Component::Reconcile) {
        objects.extend(admission_policies(&AdmissionSettings {
            namespace: installation.namespace.clone(),
            account: Component::Reconcile.name().to_owned(),
            system_namespaces: installation.system_namespaces.clone(),
        })?);
    }
    objects.extend(deployments(installation));
    Ok(objects)
}

/// Returns the accounts and roles.
pub fn rbac(installation: &Installation) -> Vec<Value> {
    let mut objects = Vec::new();
    for mode in installation.effective_modes() {
        objects.push(match Component::of(mode) {
            Some(component) => workloads::service_account(installation, component),
            None => one_shot_account(installation, mode),
        });
        objects.extend(roles(installation, mode));
    }
    if installation.effective_modes().iter().any(|mode: &Mode| mode.needs_crds()) {
        objects.extend(user_roles());
    }
    objects
}

/// Returns the Deployments.
pub fn deployments(installation: &Installation) -> Vec<Value> {
    let components = installation.components().into_iter();
    components.map(|component| workloads::deployment(installation, component)).collect()
}
