//! Checks for problems that make a webhook fail unnoticed, or that block a cluster.

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ServiceReference, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use super::configuration::{authorities, configurations, ready_replicas};
use super::handshake::{Target, check_certificate, handshake};
use crate::cluster::{CallError, Cluster};
use crate::manifests::{
    AdmissionSettings, MUTATING_WEBHOOK_NAME, Registration, WEBHOOK_CONFIGURATION, WEBHOOK_NAME, dangers,
    suspended_until,
};

/// The result of an examination.
#[derive(Debug, Default)]
pub struct Diagnosis {
    /// The problems, each with its fix.
    pub problems: Vec<String>,
    /// Facts that are no problem, and what could not be examined.
    pub notes: Vec<String>,
}

/// Examines the webhook and native admission. An error means that the API server could not be asked.
///
/// `settings` are the choices that the installed admission policies are compared with.
pub async fn examine(
    cluster: &Cluster,
    settings: &AdmissionSettings,
    now: Timestamp,
) -> Result<Diagnosis, CallError> {
    let mut found = Diagnosis::default();
    let validating = found.configurations::<ValidatingWebhookConfiguration>(cluster, now).await?;
    let mutating = found.configurations::<MutatingWebhookConfiguration>(cluster, now).await?;
    if !validating && !mutating {
        found.notes.push("no webhook is registered".to_owned());
    }
    if validating || mutating {
        found.failed_open(cluster).await;
    }
    found.native(cluster, settings, now).await?;
    Ok(found)
}

/// Returns true if a configuration is one of ours, whatever its name.
fn is_ours(configuration: &impl Registration) -> bool {
    configuration.name_any() == WEBHOOK_CONFIGURATION
        || configuration.calls().iter().any(|call| [WEBHOOK_NAME, MUTATING_WEBHOOK_NAME].contains(&call.name))
}

impl Diagnosis {
    /// Examines our configurations of a kind. Returns true if there is one.
    async fn configurations<R: Registration>(
        &mut self,
        cluster: &Cluster,
        now: Timestamp,
    ) -> Result<bool, CallError> {
        let configurations = configurations::<R>(cluster);
        let all = cluster.call(async |_| configurations.list(&ListParams::default()).await).await?;
        let ours: Vec<R> = all.items.into_iter().filter(is_ours).collect();
        for configuration in &ours {
            let name = format!("{} {}", R::kind(&()).to_lowercase(), configuration.name_any());
            let dangers = dangers(configuration).into_iter();
            self.problems.extend(
                dangers.map(|danger| format!("{name}: {danger}: run `kube-devops webhook install-config`")),
            );
            for call in configuration.calls() {
                let is_closed = call.failure_policy != Some("Ignore");
                self.call(cluster, &name, call.client_config, is_closed, now).await?;
            }
            self.suspension(&name, suspended_until(configuration), now);
        }
        Ok(!ours.is_empty())
    }

    /// Examines the way from the API server to a webhook.
    async fn call(
        &mut self,
        cluster: &Cluster,
        configuration: &str,
        client: &WebhookClientConfig,
        is_closed: bool,
        now: Timestamp,
    ) -> Result<(), CallError> {
        let at = |text: String| format!("{configuration}: {text}");
        let bundle = client.ca_bundle.as_ref().map(|bundle| String::from_utf8_lossy(&bundle.0).into_owned());
        let bundle = bundle.unwrap_or_default();
        let Some(service) = &client.service else {
            let url = client.url.clone().unwrap_or_default();
            let answered = match Target::of_url(&url) {
                Ok(target) => handshake(&target, &bundle).await,
                Err(error) => Err(error),
            };
            self.problems.extend(answered.err().map(at));
            return Ok(());
        };
        self.call_service(cluster, configuration, service, &bundle, is_closed, now).await
    }

    /// Examines the way from the API server to a webhook behind a Service.
    async fn call_service(
        &mut self,
        cluster: &Cluster,
        configuration: &str,
        service: &ServiceReference,
        bundle: &str,
        is_closed: bool,
        now: Timestamp,
    ) -> Result<(), CallError> {
        let at = |text: String| format!("{configuration}: {text}");
        let (namespace, name) = (&service.namespace, &service.name);
        if cluster.lacks_namespace(namespace).await {
            let text = format!(
                "it was left behind by namespace {namespace}, which is gone: run `kube-devops webhook uninstall`"
            );
            self.problems.push(at(text));
            return Ok(());
        }
        match ready_replicas(cluster, namespace, name).await? {
            Some(0) => {
                let text = format!(
                    "Service {namespace}/{name} has no ready endpoint: kubectl get pods -n {namespace}"
                );
                self.problems.push(at(text));
            }
            Some(1) if is_closed => {
                let text =
                    "it fails closed with one ready replica: run two, or install it without --fail-closed";
                self.problems.push(at(text.to_owned()));
            }
            _ => {}
        }
        let mut material = None;
        match authorities(cluster, namespace).await {
            Ok(Some(found)) if found.bundle() != bundle => {
                let text = "its caBundle is not the one of the Secret: start `kube-devops webhook serve`, \
                            which restores it, or run `kube-devops webhook install-config`";
                self.problems.push(at(text.to_owned()));
            }
            Ok(found) => material = found,
            Err(error) => self.notes.push(format!("the Secret of the certificates was not read: {error}")),
        }
        let port = service.port.and_then(|port| port.try_into().ok()).unwrap_or(443);
        let mut target = Target::of_service(namespace, name, port);
        if let Some(host) = external_name(cluster, namespace, name).await? {
            target.host = host;
        }
        match handshake(&target, bundle).await {
            Err(error) if error.starts_with("cannot connect") => {
                self.notes.push(format!("no handshake from here, only from inside the cluster: {error}"));
                // The Secret can still be examined from here.
                let checked = material.map(|found| check_certificate(bundle, &found.leaf, &target.name, now));
                self.problems.extend(checked.and_then(Result::err).map(at));
            }
            outcome => self.problems.extend(outcome.err().map(at)),
        }
        Ok(())
    }

    pub(super) fn suspension(&mut self, object: &str, until: Option<Timestamp>, now: Timestamp) {
        match until {
            Some(until) if until <= now => self.problems.push(format!(
                "{object}: its break-glass is overdue since {until}: start the operator, or run \
                 `kube-devops webhook break-glass --end`"
            )),
            Some(until) => self.notes.push(format!("{object}: denials are suspended until {until}")),
            None => {}
        }
    }

    /// Reads the count of objects that were stored without evaluation from the metrics of the API server.
    async fn failed_open(&mut self, cluster: &Cluster) {
        let read = async |client: kube::Client| {
            let request = http::Request::get("/metrics").body(Vec::new()).map_err(kube::Error::HttpError)?;
            client.request_text(request).await
        };
        match cluster.call(read).await {
            Ok(text) => match fail_open_count(&text) {
                0 => {}
                count => self.problems.push(format!(
                    "{count} objects were stored without evaluation since the start of this API server, because the \
                     webhook did not answer: see apiserver_admission_webhook_fail_open_count"
                )),
            },
            Err(error) => {
                let what = "the API server's counts of objects without evaluation";
                self.notes.push(format!("{what} were not read: {error}"));
            }
        }
    }
}

async fn external_name(cluster: &Cluster, namespace: &str, name: &str) -> Result<Option<String>, CallError> {
    let services: Api<Service> = Api::namespaced(cluster.client.clone(), namespace);
    let service = cluster.call(async |_| services.get_opt(name).await).await?;
    Ok(service.and_then(|service| service.spec?.external_name))
}

/// Adds up the API server's counts of objects that our webhook let pass by not answering.
fn fail_open_count(metrics: &str) -> u64 {
    // A workload without defaults is still evaluated, so the mutating webhook does not count.
    let name = format!("name=\"{WEBHOOK_NAME}\"");
    let series = metrics.lines().filter(|line| {
        line.starts_with("apiserver_admission_webhook_fail_open_count{") && line.contains(&name)
    });
    series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_objects_that_were_stored_without_evaluation_are_counted() {
        let text = format!(
            "# TYPE apiserver_admission_webhook_fail_open_count counter\n\
             apiserver_admission_webhook_fail_open_count{{name=\"{WEBHOOK_NAME}\",type=\"validating\"}} 3\n\
             apiserver_admission_webhook_fail_open_count{{name=\"other.example.com\",type=\"validating\"}} 7\n"
        );
        assert_eq!((fail_open_count(&text), fail_open_count("")), (3, 0));
    }
}
