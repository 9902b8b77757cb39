//! Checks for problems that make a webhook fail unnoticed, or that block a cluster.

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{ValidatingWebhook, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use super::configuration::{authorities, configurations, ready_replicas};
use super::handshake::{Target, handshake};
use crate::cluster::{CallError, Cluster};
use crate::manifests::{WEBHOOK_CONFIGURATION, WEBHOOK_NAME, dangers, suspended_until};
use crate::policy::{ADMISSION_LABEL, BREAK_GLASS_ANNOTATION};

/// The result of an examination.
#[derive(Debug, Default)]
pub struct Diagnosis {
    /// The problems, each with its fix.
    pub problems: Vec<String>,
    /// Facts that are no problem, and what could not be examined.
    pub notes: Vec<String>,
}

/// Examines the webhook. An error means that the API server could not be asked.
pub async fn examine(cluster: &Cluster, now: Timestamp) -> Result<Diagnosis, CallError> {
    let mut found = Diagnosis::default();
    let configurations = configurations(cluster);
    let all = cluster.call(async |_| configurations.list(&ListParams::default()).await).await?;
    let ours: Vec<_> = all.items.into_iter().filter(is_ours).collect();
    if ours.is_empty() {
        found.notes.push("no webhook is registered".to_owned());
    }
    for configuration in &ours {
        let name = configuration.name_any();
        for webhook in configuration.webhooks.iter().flatten() {
            found.webhook(cluster, &name, webhook).await?;
        }
        let until = suspended_until(configuration);
        found.suspension(&format!("validatingwebhookconfiguration {name}"), until, now);
    }
    if !ours.is_empty() {
        found.failed_open(cluster).await;
    }
    found.namespaces(cluster, now).await?;
    Ok(found)
}

/// Returns true if a configuration is one of ours, whatever its name.
fn is_ours(configuration: &ValidatingWebhookConfiguration) -> bool {
    configuration.name_any() == WEBHOOK_CONFIGURATION
        || configuration.webhooks.iter().flatten().any(|webhook| webhook.name == WEBHOOK_NAME)
}

impl Diagnosis {
    async fn webhook(
        &mut self,
        cluster: &Cluster,
        configuration: &str,
        webhook: &ValidatingWebhook,
    ) -> Result<(), CallError> {
        let at = |text: String| format!("validatingwebhookconfiguration {configuration}: {text}");
        self.problems.extend(
            dangers(webhook)
                .into_iter()
                .map(|danger| at(format!("{danger}: run `kube-devops webhook install-config`"))),
        );
        let client = &webhook.client_config;
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
        let (namespace, name) = (&service.namespace, &service.name);
        if cluster.lacks_namespace(namespace).await {
            let text = format!(
                "it was left behind by namespace {namespace}, which is gone: run `kube-devops webhook uninstall`"
            );
            self.problems.push(at(text));
            return Ok(());
        }
        let is_closed = webhook.failure_policy.as_deref() != Some("Ignore");
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
        match authorities(cluster, namespace).await {
            Ok(Some(material)) if material.bundle() != bundle => {
                let text = "its caBundle is not the one of the Secret: start `kube-devops webhook serve`, \
                            which restores it, or run `kube-devops webhook install-config`";
                self.problems.push(at(text.to_owned()));
            }
            Ok(_) => {}
            Err(error) => self.notes.push(format!("the Secret of the certificates was not read: {error}")),
        }
        let port = service.port.and_then(|port| port.try_into().ok()).unwrap_or(443);
        let mut target = Target::of_service(namespace, name, port);
        if let Some(host) = external_name(cluster, namespace, name).await? {
            target.host = host;
        }
        match handshake(&target, &bundle).await {
            Err(error) if error.starts_with("cannot connect") => {
                self.notes.push(format!("no handshake from here, only from inside the cluster: {error}"));
            }
            outcome => self.problems.extend(outcome.err().map(at)),
        }
        Ok(())
    }

    fn suspension(&mut self, object: &str, until: Option<Timestamp>, now: Timestamp) {
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

    async fn namespaces(&mut self, cluster: &Cluster, now: Timestamp) -> Result<(), CallError> {
        let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
        let params = ListParams::default().labels(ADMISSION_LABEL);
        for namespace in cluster.call(async |_| namespaces.list_metadata(&params).await).await? {
            let until = namespace.annotations().get(BREAK_GLASS_ANNOTATION);
            let until = until.map(|until| until.parse().unwrap_or(Timestamp::MIN));
            self.suspension(&format!("namespace {}", namespace.name_any()), until, now);
        }
        Ok(())
    }
}

async fn external_name(cluster: &Cluster, namespace: &str, name: &str) -> Result<Option<String>, CallError> {
    let services: Api<Service> = Api::namespaced(cluster.client.clone(), namespace);
    let service = cluster.call(async |_| services.get_opt(name).await).await?;
    Ok(service.and_then(|service| service.spec?.external_name))
}

/// Adds up the API server's counts of objects that our webhook let pass by not answering.
fn fail_open_count(metrics: &str) -> u64 {
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
