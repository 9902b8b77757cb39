//! Kubeconfig files for the tests, and clients built from them.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use std::path::Path;

/// Returns a kubeconfig with one context, as JSON, which is valid YAML.
pub(crate) fn render(server: &str, authority: &Path, token: &str, namespace: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{ "name": "test", "cluster": { "server": server, "certificate-authority": authority } }],
        "users": [{ "name": "test", "user": { "token": token } }],
        "contexts": [{
            "name": "test",
            "context": { "cluster": "test", "user": "test", "namespace": namespace },
        }],
    })
    .to_string()
}

/// Builds a client from a kubeconfig file. The client lives as long as the current runtime.
pub(crate) async fn client_of(kubeconfig: &Path) -> Client {
    Client::try_from(config_of(kubeconfig).await).expect("a client of a valid configuration")
}

/// Reads a kubeconfig file, for a test that changes settings of its client.
pub(crate) async fn config_of(kubeconfig: &Path) -> Config {
    let file = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig file");
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let mut config = config.expect("a valid kubeconfig");
    // The servers are on loopback, which the environment's proxy can't reach.
    config.proxy_url = None;
    config
}
