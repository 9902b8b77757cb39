//! Takes the serving certificate from the Secret, on every replica.

use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tokio::time::sleep;
use tracing::{info, warn};

use super::Material;
use crate::cluster::Cluster;
use crate::manifests::WEBHOOK_SECRET;
use crate::runtime::ServingCertificate;

/// Serves the certificate of the Secret, and reloads it when it changes. Never returns. `ready` is dropped once there is
/// a certificate.
pub async fn follow_secret<R>(
    cluster: Arc<Cluster>,
    namespace: String,
    certificate: ServingCertificate,
    interval: SignedDuration,
    ready: R,
) {
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &namespace);
    let mut ready = Some(ready);
    let mut problem = String::new();
    loop {
        let loaded = match cluster.call(async |_| secrets.get_opt(WEBHOOK_SECRET).await).await {
            Ok(Some(secret)) => load(&secret, &certificate),
            Ok(None) => Err(format!("Secret {namespace}/{WEBHOOK_SECRET} does not exist yet")),
            Err(error) => Err(format!("cannot read Secret {namespace}/{WEBHOOK_SECRET}: {error}")),
        };
        match loaded {
            Ok(is_new) => {
                if is_new {
                    info!(expires = %certificate.not_after().unwrap_or_default(), "serving a new certificate");
                }
                problem.clear();
                drop(ready.take());
            }
            // The former certificate stays in use.
            Err(error) if error != problem => {
                warn!(error, "no new certificate");
                problem = error;
            }
            Err(_) => {}
        }
        sleep(interval.unsigned_abs()).await;
    }
}

fn load(secret: &Secret, certificate: &ServingCertificate) -> Result<bool, String> {
    let data = secret.data.clone().unwrap_or_default();
    let material = Material::from_data(&data, None).map_err(|error| error.to_string())?;
    let set = certificate.set(material.leaf.as_bytes(), material.key.as_bytes());
    set.map_err(|error| error.to_string())
}
