//! Installs, removes and suspends the webhook in the API server.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::{Namespace, Secret, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt as _};
use serde_json::{Value, json};

use super::certificates::Material;
use super::handshake::{Target, handshake, roots};
use crate::cluster::{CallError, Cluster, retry_on_conflict};
use crate::governance::AnnotatedExemptions;
use crate::manifests::{
    DENY_POLICY, OBJECT_MANAGER, Registration, WEBHOOK_CONFIGURATION, WEBHOOK_SECRET, WebhookAddress,
    WebhookChoices, mutating_webhook_configuration, resume, suspend, suspended_until, webhook_configuration,
};
use crate::policies;
use crate::policy::{
    ADMISSION_LABEL, AdmissionVerdict, BREAK_GLASS_ANNOTATION, CompiledPolicy, DENY_ANNOTATION,
    SystemNamespaces, VERDICT_ANNOTATION, WARN_ANNOTATION,
};

/// The minimum number of ready replicas for an installation.
const REPLICAS_TO_FAIL_CLOSED: usize = 2;

/// The number of Namespaces that are marked at a time.
const CONCURRENT: usize = 8;

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
    Ok(Some(ready_pods(&slices.items)))
}

/// Counts the ready pods in the slices of a Service. A pod with addresses of both families is in two slices.
fn ready_pods(slices: &[EndpointSlice]) -> usize {
    let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
    let is_ready = |endpoint: &&Endpoint| {
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
    };
    let identity = |endpoint: &Endpoint| {
        let pod = endpoint.target_ref.as_ref().and_then(|target| target.uid.clone().or(target.name.clone()));
        pod.or_else(|| endpoint.addresses.first().cloned())
    };
    endpoints.filter(is_ready).map(identity).collect::<BTreeSet<_>>().len()
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
            roots(&choices.ca_bundle).map_err(ConfigurationError::Handshake)?;
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

/// The effect of a suspension, or of its end.
#[derive(Debug, Default)]
pub struct BreakGlass {
    /// The objects that deny nothing now, or that deny again.
    pub changed: Vec<String>,
    /// The objects that the operator has to change yet, because their policies could not be read.
    pub pending: Vec<String>,
    /// The objects that could not be marked, each with the reason.
    pub failed: Vec<String>,
}

/// Suspends every denial until a time, or ends the suspension with `None`. It marks the configurations and the
/// Namespaces of native admission, and goes on after a failure.
///
/// If native admission is installed, it marks all Namespaces but those of the system, because a policy may come to any
/// of them meanwhile. At the end the Namespaces get their verdicts back, also while no operator runs.
pub async fn break_glass(
    cluster: &Cluster,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<BreakGlass, ConfigurationError> {
    let mut done = BreakGlass::default();
    done.note_configuration("validating", mark::<ValidatingWebhookConfiguration>(cluster, until).await);
    // It denies nothing, but a patch that does not apply would refuse an object.
    done.note_configuration("mutating", mark::<MutatingWebhookConfiguration>(cluster, until).await);
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let all = cluster.call(async |_| namespaces.list_metadata(&ListParams::default()).await).await;
    let all = match all {
        Ok(list) => list.items,
        Err(error) => {
            done.failed.push(format!("the Namespaces: {error}"));
            Vec::new()
        }
    };
    let deny = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": DENY_POLICY },
    });
    let is_installed = cluster.get_object(&deny).await.is_ok_and(|found| found.is_some());
    let policies = if until.is_none() { policies::list(cluster, None).await.ok() } else { None };
    let system = SystemNamespaces::default();
    let writes = all.into_iter().filter_map(|namespace| {
        let (name, annotations) = (namespace.name_any(), namespace.annotations());
        let is_native = namespace.labels().contains_key(ADMISSION_LABEL);
        let is_concerned = match until {
            Some(_) => is_native || is_installed && !system.contains(&name),
            None => annotations.contains_key(BREAK_GLASS_ANNOTATION),
        };
        let of = |known: &BTreeMap<String, Vec<CompiledPolicy>>| {
            let policies = known.get(&name).map_or(&[][..], Vec::as_slice);
            AnnotatedExemptions::of_one_namespace(&name, annotations).verdict(&name, policies, now)
        };
        let verdict = policies.as_ref().map(of);
        let is_pending = is_native && until.is_none() && verdict.is_none();
        let patch = break_glass_patch(until, verdict.flatten().filter(|_| is_native).as_ref());
        is_concerned.then_some((name, is_native, is_pending, patch))
    });
    let write = |(name, is_native, is_pending, patch): (String, bool, bool, Value)| {
        let namespaces = namespaces.clone();
        async move {
            let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
            let write = async |_| namespaces.patch_metadata(&name, &params, &patch).await;
            let written = cluster.call(write).await;
            (name, is_native, is_pending, written)
        }
    };
    let mut written = stream::iter(writes.collect::<Vec<_>>()).map(write).buffered(CONCURRENT);
    let mut marked = 0;
    while let Some((name, is_native, is_pending, written)) = written.next().await {
        let object = format!("namespace {name}");
        match written {
            Ok(_) if is_pending => done.pending.push(object),
            Ok(_) if is_native => done.changed.push(object),
            Ok(_) => marked += 1,
            // It went meanwhile.
            Err(error) if error.code() == Some(404) => {}
            Err(error) => done.failed.push(format!("{object}: {error}")),
        }
    }
    if marked > 0 {
        done.changed.push(format!("native admission in {marked} more namespaces"));
    }
    let BreakGlass { changed, pending, failed } = &done;
    if until.is_some() && changed.is_empty() && pending.is_empty() && failed.is_empty() {
        return Err(ConfigurationError::NothingToSuspend);
    }
    Ok(done)
}

impl BreakGlass {
    fn note_configuration(&mut self, kind: &str, marked: Result<bool, CallError>) {
        let object = format!("{kind}webhookconfiguration {WEBHOOK_CONFIGURATION}");
        match marked {
            Ok(true) => self.changed.push(object),
            Ok(false) => {}
            Err(error) => self.failed.push(format!("{object}: {error}")),
        }
    }
}

/// Returns the patch of a Namespace: the mark without any denial, or no mark and the verdict of its policies.
fn break_glass_patch(until: Option<Timestamp>, verdict: Option<&AdmissionVerdict>) -> Value {
    let mut annotations = json!({ BREAK_GLASS_ANNOTATION: until.map(|until| until.to_string()) });
    if until.is_some() {
        // It takes effect at once, also while no operator runs.
        annotations[DENY_ANNOTATION] = json!(null);
    }
    let mut labels = json!({});
    if let Some(verdict) = verdict {
        labels[ADMISSION_LABEL] = json!(verdict.label());
        let wanted = verdict.annotations();
        for key in [DENY_ANNOTATION, WARN_ANNOTATION, VERDICT_ANNOTATION] {
            annotations[key] = json!(wanted.get(key));
        }
    }
    json!({ "metadata": { "labels": labels, "annotations": annotations } })
}

/// Marks a configuration, or takes the mark away. Returns false if there is no configuration, or no mark to take away.
async fn mark<R: Registration>(cluster: &Cluster, until: Option<Timestamp>) -> Result<bool, CallError> {
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
    retry_on_conflict(mark, |error: &CallError| error.code() == Some(409)).await
}

pub(super) fn configurations<R: Registration>(cluster: &Cluster) -> Api<R> {
    Api::all(cluster.client.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DevOpsPolicy;

    #[test]
    fn a_pod_in_two_slices_is_one_replica() {
        let slice = |addresses: [&str; 2], ready: [bool; 2]| -> EndpointSlice {
            let endpoint = |number: usize| {
                json!({
                    "addresses": [addresses[number]],
                    "conditions": { "ready": ready[number] },
                    "targetRef": { "kind": "Pod", "name": format!("webhook-{number}"), "uid": format!("u{number}") },
                })
            };
            let endpoints = [endpoint(0), endpoint(1)];
            serde_json::from_value(json!({ "addressType": "IPv4", "endpoints": endpoints })).unwrap()
        };
        let (four, six) = (["10.0.0.1", "10.0.0.2"], ["fd00::1", "fd00::2"]);
        assert_eq!(ready_pods(&[slice(four, [true, false]), slice(six, [true, false])]), 1);
        assert_eq!(ready_pods(&[slice(four, [true, true]), slice(six, [true, true])]), 2);
        assert_eq!(ready_pods(&[]), 0);
    }

    #[test]
    fn a_break_glass_takes_the_denials_and_its_end_gives_them_back() {
        let policy = json!({
            "metadata": { "name": "base", "namespace": "shop", "uid": "u", "generation": 1 },
            "spec": { "enforcementMode": "enforce", "forbidLatestTag": true, "admission": { "denyAt": "low" } },
        });
        let policy = CompiledPolicy::new(serde_json::from_value::<DevOpsPolicy>(policy).unwrap());
        let verdict = AdmissionVerdict::of(&[policy]).unwrap();
        let begin = break_glass_patch(Some(Timestamp::UNIX_EPOCH), None);
        assert_eq!(
            begin["metadata"]["annotations"],
            json!({ BREAK_GLASS_ANNOTATION: "1970-01-01T00:00:00Z", DENY_ANNOTATION: null })
        );
        let end = break_glass_patch(None, Some(&verdict));
        assert_eq!(
            end["metadata"]["annotations"],
            json!({
                BREAK_GLASS_ANNOTATION: null, DENY_ANNOTATION: "latest-tag;base", WARN_ANNOTATION: null,
                VERDICT_ANNOTATION: verdict.hash,
            })
        );
        assert_eq!(
            break_glass_patch(None, None)["metadata"]["annotations"],
            json!({ BREAK_GLASS_ANNOTATION: null })
        );
    }
}
