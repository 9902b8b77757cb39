//! Installs, removes and suspends the webhook in the API server.

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::{Namespace, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt as _};
use serde_json::json;

use super::certificates::Material;
use super::handshake::{Target, handshake};
use crate::cluster::{CallError, Cluster, retry_on_conflict};
use crate::manifests::{
    OBJECT_MANAGER, Registration, WEBHOOK_CONFIGURATION, WEBHOOK_SECRET, WebhookAddress, WebhookChoices,
    mutating_webhook_configuration, resume, suspend, suspended_until, webhook_configuration,
};
use crate::policy::{ADMISSION_LABEL, BREAK_GLASS_ANNOTATION, DENY_ANNOTATION};

/// The minimum number of ready replicas for an installation.
const REPLICAS_TO_FAIL_CLOSED: usize = 2;

/// An error while installing or changing the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A call to the API server failed.
    #[error("cannot {action}: {source}")]
    Call {
        /// The action.
        action: &'static str,
        /// The cause.
        source: CallError,
    },
    /// There is no authority to trust.
    #[error(
        "there is no Secret {namespace}/{WEBHOOK_SECRET} with certificates: start `kube-devops webhook serve` first, name \
         its namespace with -n if it runs in another one, or give --ca-file"
    )]
    NoAuthority {
        /// The namespace of the webhook.
        namespace: String,
    },
    /// Too few replicas are ready.
    #[error(
        "Service {service} has {ready} ready replicas, and {needed} are needed: see kubectl get pods -n {namespace}"
    )]
    NotReady {
        /// The Service.
        service: String,
        /// Its namespace.
        namespace: String,
        /// The number of ready replicas.
        ready: usize,
        /// The number that is needed.
        needed: usize,
    },
    /// The replicas cannot be counted.
    #[error(
        "--fail-closed needs two ready replicas, which cannot be counted behind a URL or an external name"
    )]
    NotCountable,
    /// The webhook did not answer with a certificate that the configuration trusts.
    #[error("the webhook does not answer: {0}")]
    Handshake(String),
    /// There is no configuration.
    #[error(
        "there is no webhook configuration {WEBHOOK_CONFIGURATION}, and native admission evaluates in no namespace"
    )]
    NothingToSuspend,
}

fn failed(action: &'static str) -> impl FnOnce(CallError) -> ConfigurationError {
    move |source| ConfigurationError::Call { action, source }
}

/// Returns the authorities in the Secret of the webhook; `None` if there are none.
pub async fn authorities(cluster: &Cluster, namespace: &str) -> Result<Option<Material>, CallError> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
    let secret = cluster.call(async |_| secrets.get_opt(WEBHOOK_SECRET).await).await?;
    Ok(secret.and_then(|secret| Material::from_data(secret.data.as_ref()?, None).ok()))
}

/// Returns the number of ready replicas behind a Service; `None` for one of type `ExternalName`.
pub(super) async fn ready_replicas(
    cluster: &Cluster,
    namespace: &str,
    service: &str,
) -> Result<Option<usize>, CallError> {
    let services: Api<Service> = Api::namespaced(cluster.client.clone(), namespace);
    let found = cluster.call(async |_| services.get_opt(service).await).await?;
    let is_external = found
        .and_then(|service| service.spec)
        .is_some_and(|spec| spec.type_.as_deref() == Some("ExternalName"));
    if is_external {
        return Ok(None);
    }
    let slices: Api<EndpointSlice> = Api::namespaced(cluster.client.clone(), namespace);
    let params = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
    let slices = cluster.call(async |_| slices.list(&params).await).await?;
    let endpoints = slices.items.into_iter().flat_map(|slice| slice.endpoints);
    let ready = |conditions: Option<bool>| conditions.unwrap_or(true);
    Ok(Some(endpoints.filter(|endpoint| ready(endpoint.conditions.as_ref().and_then(|it| it.ready))).count()))
}

/// Registers the webhook, once a replica is ready. A suspension stays. Returns the configurations, each with true if it
/// changed.
pub async fn install(
    cluster: &Cluster,
    choices: &WebhookChoices,
) -> Result<Vec<(String, bool)>, ConfigurationError> {
    match &choices.address {
        WebhookAddress::Service { namespace, name, .. } => {
            let ready = ready_replicas(cluster, namespace, name).await;
            let needed = if choices.fail_closed { REPLICAS_TO_FAIL_CLOSED } else { 1 };
            match ready.map_err(failed("count the replicas"))? {
                Some(ready) if ready < needed => {
                    let (service, namespace) = (name.clone(), namespace.clone());
                    return Err(ConfigurationError::NotReady { service, namespace, ready, needed });
                }
                None if choices.fail_closed => return Err(ConfigurationError::NotCountable),
                _ => {}
            }
        }
        WebhookAddress::Url(_) if choices.fail_closed => return Err(ConfigurationError::NotCountable),
        WebhookAddress::Url(url) => {
            let target = Target::of_url(url).map_err(ConfigurationError::Handshake)?;
            handshake(&target, &choices.ca_bundle).await.map_err(ConfigurationError::Handshake)?;
        }
    }
    let mut changed = Vec::new();
    for (object, is_changed) in [
        ("validatingwebhookconfiguration", apply(cluster, webhook_configuration(choices)).await?),
        ("mutatingwebhookconfiguration", apply(cluster, mutating_webhook_configuration(choices)).await?),
    ] {
        changed.push((format!("{object} {WEBHOOK_CONFIGURATION}"), is_changed));
    }
    Ok(changed)
}

/// Applies a configuration. Returns true if it changed.
async fn apply<R: Registration>(cluster: &Cluster, mut wanted: R) -> Result<bool, ConfigurationError> {
    let configurations = configurations::<R>(cluster);
    let before = cluster.call(async |_| configurations.get_opt(WEBHOOK_CONFIGURATION).await).await;
    let before = before.map_err(failed("read the webhook configuration"))?;
    if let Some(until) = before.as_ref().and_then(suspended_until) {
        suspend(&mut wanted, until);
    }
    let params = PatchParams::apply(OBJECT_MANAGER).force();
    let apply = async |_| configurations.patch(WEBHOOK_CONFIGURATION, &params, &Patch::Apply(&wanted)).await;
    let after = cluster.call(apply).await.map_err(failed("write the webhook configuration"))?;
    Ok(before.is_none_or(|before| before.resource_version() != after.resource_version()))
}

/// Removes the configurations, and then the Secret of the certificates. Returns what was removed.
pub async fn uninstall(cluster: &Cluster, namespace: &str) -> Result<Vec<String>, ConfigurationError> {
    let mut removed = Vec::new();
    let validating = configurations::<ValidatingWebhookConfiguration>(cluster);
    let delete = remove(cluster, &validating, WEBHOOK_CONFIGURATION).await;
    if delete.map_err(failed("delete the webhook configuration"))? {
        removed.push(format!("validatingwebhookconfiguration {WEBHOOK_CONFIGURATION}"));
    }
    let mutating = configurations::<MutatingWebhookConfiguration>(cluster);
    let delete = remove(cluster, &mutating, WEBHOOK_CONFIGURATION).await;
    if delete.map_err(failed("delete the webhook configuration"))? {
        removed.push(format!("mutatingwebhookconfiguration {WEBHOOK_CONFIGURATION}"));
    }
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
    let delete = remove(cluster, &secrets, WEBHOOK_SECRET).await;
    if delete.map_err(failed("delete the Secret of the certificates"))? {
        removed.push(format!("secret {namespace}/{WEBHOOK_SECRET}"));
    }
    Ok(removed)
}

async fn remove<K>(cluster: &Cluster, api: &Api<K>, name: &str) -> Result<bool, CallError>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    match cluster.call(async |_| api.delete(name, &DeleteParams::default()).await).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(404) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Suspends every denial until a time, or ends the suspension with `None`. Returns the objects that got the mark or lost it:
/// the configurations, and the Namespaces in which native admission evaluates.
pub async fn break_glass(
    cluster: &Cluster,
    until: Option<Timestamp>,
) -> Result<Vec<String>, ConfigurationError> {
    let mut marked = Vec::new();
    if mark::<ValidatingWebhookConfiguration>(cluster, until).await? {
        marked.push(format!("validatingwebhookconfiguration {WEBHOOK_CONFIGURATION}"));
    }
    // It denies nothing, but a patch that does not apply would refuse an object.
    if mark::<MutatingWebhookConfiguration>(cluster, until).await? {
        marked.push(format!("mutatingwebhookconfiguration {WEBHOOK_CONFIGURATION}"));
    }
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let params = ListParams::default().labels(ADMISSION_LABEL);
    let native = cluster.call(async |_| namespaces.list_metadata(&params).await).await;
    for namespace in native.map_err(failed("list the Namespaces"))? {
        let name = namespace.name_any();
        if until.is_none() && !namespace.annotations().contains_key(BREAK_GLASS_ANNOTATION) {
            continue;
        }
        let mut annotations = json!({ BREAK_GLASS_ANNOTATION: until.map(|until| until.to_string()) });
        if until.is_some() {
            // It takes effect at once, also while no operator runs. An operator restores it afterwards.
            annotations[DENY_ANNOTATION] = json!(null);
        }
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
        let params = PatchParams::default();
        let write = async |_| namespaces.patch_metadata(&name, &params, &patch).await;
        cluster.call(write).await.map_err(failed("mark a Namespace"))?;
        marked.push(format!("namespace {name}"));
    }
    if marked.is_empty() && until.is_some() { Err(ConfigurationError::NothingToSuspend) } else { Ok(marked) }
}

/// Marks a configuration, or takes the mark away. Returns false if there is no configuration, or no mark to take away.
async fn mark<R: Registration>(
    cluster: &Cluster,
    until: Option<Timestamp>,
) -> Result<bool, ConfigurationError> {
    let configurations = configurations::<R>(cluster);
    let mark = async |_| {
        let read = cluster.call(async |_| configurations.get_opt(WEBHOOK_CONFIGURATION).await).await?;
        let Some(mut configuration) = read else { return Ok(false) };
        match until {
            Some(until) => suspend(&mut configuration, until),
            None if suspended_until(&configuration).is_none() => return Ok(false),
            None => resume(&mut configuration),
        }
        let params = PostParams::default();
        let replace = async |_| configurations.replace(WEBHOOK_CONFIGURATION, &params, &configuration).await;
        cluster.call(replace).await.map(|_| true)
    };
    let written = retry_on_conflict(mark, |error: &CallError| error.code() == Some(409)).await;
    written.map_err(failed("mark the webhook configuration"))
}

pub(super) fn configurations<R: Registration>(cluster: &Cluster) -> Api<R> {
    Api::all(cluster.client.clone())
}
