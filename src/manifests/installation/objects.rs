//! The objects of an installation, in the order in which they are to be applied.

use serde_json::Value;

use super::rbac::{one_shot_account, roles};
use super::settings::labels;
use super::user_roles::user_roles;
use super::{Component, Installation, network, workloads};
use crate::manifests::{
    AdmissionSettings, Mode, WEBHOOK_SERVICE_PORT, WebhookAddress, WebhookChoices, admission_policies, crds,
    evaluates_natively, manifest, mutating_webhook_configuration, self_fence, webhook_configuration,
};
use crate::policy::SystemNamespaces;

/// Returns all objects of an installation.
pub fn all(installation: &Installation) -> serde_json::Result<Vec<Value>> {
    let mut objects = vec![workloads::namespace(installation)];
    if installation.crds {
        objects.extend(crds().iter().map(manifest).collect::<Result<Vec<_>, _>>()?);
    }
    objects.extend(rbac(installation));
    if installation.self_fence && installation.components().contains(&Component::Reconcile) {
        objects.extend(self_fence(
            &installation.namespace,
            Component::Reconcile.name(),
            &installation.system_namespaces,
        ));
    }
    for component in installation.components() {
        objects.push(workloads::service(installation, component));
        objects.push(workloads::disruption_budget(installation, component));
        if installation.network_policies {
            objects.push(network::network_policy(installation, component));
        }
    }
    if installation.components().contains(&Component::Reconcile) {
        let policies = admission_policies(&AdmissionSettings {
            namespace: installation.namespace.clone(),
            account: Component::Reconcile.name().to_owned(),
            system_namespaces: installation.system_namespaces.clone(),
        })?;
        // Verdicts that an operator with native admission has left on Namespaces must not deny for ever.
        let is_native = installation.has_native_admission();
        objects.extend(policies.into_iter().filter(|object| is_native || !evaluates_natively(object)));
    }
    objects.extend(deployments(installation));
    if installation.registers && installation.components().contains(&Component::Webhook) {
        objects.extend(registrations(installation)?);
    }
    for object in &mut objects {
        let metadata = &mut object["metadata"];
        if metadata["labels"].is_null() {
            metadata["labels"] = labels(None);
        }
    }
    Ok(objects)
}

/// Returns the configurations by which API servers call the webhook.
///
/// They have no `caBundle`: the leader of the webhook writes it. Until then calls fail, and objects are stored without
/// evaluation.
fn registrations(installation: &Installation) -> serde_json::Result<[Value; 2]> {
    let Installation { namespace, system_namespaces, .. } = installation;
    let protected = system_namespaces.iter().chain([namespace]).cloned().collect();
    let choices = WebhookChoices {
        address: WebhookAddress::Service {
            namespace: namespace.clone(),
            name: Component::Webhook.name().to_owned(),
            port: WEBHOOK_SERVICE_PORT,
        },
        ca_bundle: String::new(),
        fail_closed: installation.fail_closed,
        own_namespace: namespace.clone(),
        system: SystemNamespaces::with(protected),
    };
    let mut objects =
        [manifest(&webhook_configuration(&choices))?, manifest(&mutating_webhook_configuration(&choices))?];
    for object in &mut objects {
        object["metadata"]["labels"] = labels(Some(Component::Webhook));
    }
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
