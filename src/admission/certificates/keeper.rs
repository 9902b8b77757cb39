//! Keeps the Secret and the configuration up to date on the leader: rotates certificates, updates the `caBundle`, and
//! ends a suspension in time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::time::sleep;
use tracing::{info, warn};

use super::material::{CHANGED, readable_authorities};
use super::rotation::{Step, StepError};
use super::{Lifetimes, Material, Names};
use crate::cluster::{CallError, Cluster};
use crate::leader::{Leadership, NotLeader};
use crate::manifests::{Registration, WEBHOOK_CONFIGURATION, WEBHOOK_SECRET, resume, suspended_until};

/// The settings of a keeper.
#[derive(Clone)]
pub struct KeeperSettings {
    /// The namespace of the Secret.
    pub namespace: String,
    /// The names of the serving certificate; `None` if the certificates come from elsewhere.
    pub names: Option<Names>,
    /// The lifetimes of new certificates.
    pub lifetimes: Lifetimes,
    /// The pause between two steps of a rotation.
    pub pause: SignedDuration,
    /// The interval of the checks.
    pub interval: SignedDuration,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

/// Keeps certificates and configuration.
pub struct CertificateKeeper {
    cluster: Arc<Cluster>,
    leadership: Leadership,
    settings: KeeperSettings,
    /// The time since when the configuration has had the bundle, as far as this replica knows.
    bundled: Timestamp,
}

/// A failed check.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("cannot {0}: {1}")]
    Call(&'static str, CallError),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
}

impl CertificateKeeper {
    /// Makes a keeper that does nothing yet.
    pub fn new(cluster: Arc<Cluster>, leadership: Leadership, settings: KeeperSettings) -> Self {
        Self { cluster, leadership, bundled: (settings.clock)(), settings }
    }

    /// Checks at every interval while this replica leads. Never returns.
    pub async fn run(mut self) {
        let mut problem = String::new();
        loop {
            self.leadership.acquired().await;
            match self.look().await {
                Ok(()) => problem.clear(),
                Err(error) => {
                    let error = error.to_string();
                    if error != problem {
                        warn!(error, "failed to keep the certificates; will retry");
                    }
                    problem = error;
                }
            }
            sleep(self.settings.interval.unsigned_abs()).await;
        }
    }

    async fn look(&mut self) -> Result<(), KeepError> {
        let Some(names) = self.settings.names.clone() else { return self.configure(None).await };
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client.clone(), &self.settings.namespace);
        let secret = self.cluster.call(async |_| secrets.get_opt(WEBHOOK_SECRET).await).await;
        let secret = secret.map_err(|error| KeepError::Call("read the Secret of the certificates", error))?;
        let material = secret.as_ref().and_then(|secret| {
            let changed = secret.metadata.annotations.as_ref().and_then(|all| all.get(CHANGED)?.parse().ok());
            Material::from_data(secret.data.as_ref()?, changed).ok()
        });
        // The API server must trust the current certificate before anything changes.
        let configured = self.configure(material.as_ref()).await;
        let KeeperSettings { lifetimes, pause, clock, .. } = self.settings;
        let now = clock();
        let step = Step::next(material.as_ref(), &names, self.bundled, pause, now);
        if step == Step::Keep || configured.is_err() && step.needs_bundle(material.as_ref()) {
            return configured;
        }
        let trusted = if step == Step::Bootstrap { self.trusted().await } else { Vec::new() };
        let material = step.take(material, &trusted, &names, lifetimes, now)?;
        // A replica may serve the certificate as soon as it is stored. Without a right to the configuration, nobody
        // could start to serve if this failed first.
        if !trusted.is_empty() {
            self.configure(Some(&material)).await?;
        }
        self.store(&secrets, secret, &material).await?;
        info!(?step, "completed a step of the certificate rotation");
        self.configure(Some(&material)).await
    }

    /// Writes the Secret over the version that was read.
    async fn store(
        &self,
        secrets: &Api<Secret>,
        read: Option<Secret>,
        material: &Material,
    ) -> Result<(), KeepError> {
        let is_new = read.is_none();
        let mut secret = read.unwrap_or_else(|| Secret {
            metadata: ObjectMeta { name: Some(WEBHOOK_SECRET.to_owned()), ..ObjectMeta::default() },
            type_: Some("kubernetes.io/tls".to_owned()),
            ..Secret::default()
        });
        let annotations = secret.metadata.annotations.get_or_insert_default();
        annotations.insert(CHANGED.to_owned(), material.changed.to_string());
        secret.data = Some(material.to_data());
        let params = PostParams::default();
        let write = self.cluster.call(async |_| {
            if is_new {
                secrets.create(&params, &secret).await
            } else {
                secrets.replace(WEBHOOK_SECRET, &params, &secret).await
            }
        });
        let written = self.leadership.write(write).await?;
        written.map(drop).map_err(|error| KeepError::Call("write the Secret of the certificates", error))
    }

    /// Returns the authorities that the configuration trusts; none without a configuration that can be read.
    async fn trusted(&self) -> Vec<String> {
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(self.cluster.client.clone());
        let read = self.cluster.call(async |_| configurations.get_opt(WEBHOOK_CONFIGURATION).await).await;
        let Ok(Some(configuration)) = read else { return Vec::new() };
        let bundle = configuration.calls().first().and_then(|call| call.client_config.ca_bundle.clone());
        bundle.map(|bundle| readable_authorities(&String::from_utf8_lossy(&bundle.0))).unwrap_or_default()
    }

    async fn configure(&mut self, material: Option<&Material>) -> Result<(), KeepError> {
        self.configure_one::<ValidatingWebhookConfiguration>(material).await?;
        self.configure_one::<MutatingWebhookConfiguration>(material).await
    }

    /// Sets the `caBundle` of every webhook in a configuration, and ends a suspension whose time is over. Does nothing
    /// where no configuration is installed.
    async fn configure_one<R: Registration>(&mut self, material: Option<&Material>) -> Result<(), KeepError> {
        let configurations: Api<R> = Api::all(self.cluster.client.clone());
        let read = self.cluster.call(async |_| configurations.get_opt(WEBHOOK_CONFIGURATION).await).await;
        let read = read.map_err(|error| KeepError::Call("read the webhook configuration", error))?;
        let Some(before) = read else { return Ok(()) };
        let mut after = before.clone();
        if let Some(material) = material {
            let bundle = ByteString(material.bundle().into_bytes());
            after.change(|client, _| client.ca_bundle = Some(bundle.clone()));
        }
        let is_bundled = after == before;
        let now = (self.settings.clock)();
        let is_over = suspended_until(&before).is_some_and(|until| until <= now);
        if is_over {
            resume(&mut after);
        }
        if after == before {
            return Ok(());
        }
        let params = PostParams::default();
        let replace = async |_| configurations.replace(WEBHOOK_CONFIGURATION, &params, &after).await;
        let written = self.leadership.write(self.cluster.call(replace)).await?;
        written.map_err(|error| KeepError::Call("update the webhook configuration", error))?;
        if !is_bundled {
            self.bundled = (self.settings.clock)();
            info!("the configuration trusts the authorities of the certificates");
        }
        if is_over {
            info!("the suspension of the webhook has ended");
        }
        Ok(())
    }
}
