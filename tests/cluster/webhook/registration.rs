//! The webhook is registered once it is ready, and fails closed only with two ready replicas.

use std::fs;
use std::process::Command;
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::fixture::WebhookFixture;
use crate::analyze::on;
use crate::eventually::eventually;

const CONFIGURATION: &str = "kube-devops-webhook";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_registration_waits_for_the_webhook_and_counts_ready_replicas() {
    let fixture = WebhookFixture::new().await;
    let (start, port) = (fixture.plane.mark(), fixture.port.to_string());
    let waiting = thread::spawn({
        let (kubeconfig, home, port) =
            (fixture.plane.kubeconfig().to_owned(), fixture.home.clone(), port.clone());
        move || {
            let arguments =
                ["webhook", "install-config", "-n", &home, "--service-port", &port, "--wait", "5m"];
            on(&kubeconfig, &arguments)
        }
    });
    eventually("a look at the Secret", async || {
        let requests = fixture.plane.requests_since(start);
        requests.iter().any(|event| event.user == "admin" && event.resource == "secrets").then_some(())
    })
    .await;
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(fixture.client.clone());
    assert!(configurations.get_opt(CONFIGURATION).await.unwrap().is_none(), "there is no webhook yet");
    let webhook = fixture.replica(&[]);
    let registered = waiting.join().unwrap();
    assert_eq!(registered.code, 0, "{}", registered.stderr);
    assert!(registered.stderr.contains("note: waiting: there is no Secret"), "{}", registered.stderr);
    fixture.until_denied().await;

    let install = |more: &[&str]| {
        fixture.webhook(&[&["install-config", "-n", &*fixture.home, "--fail-closed"], more].concat())
    };
    for uncounted in [["--service-port", &*port], ["--url", "https://127.0.0.1:1"]] {
        let (code, _, stderr) = install(&uncounted);
        assert!(code == 2 && stderr.contains("cannot be counted"), "{code} {stderr}");
    }
    serve(&fixture, 0).await;
    let (code, _, stderr) = install(&["--service-name", "counted"]);
    assert!(code == 2 && stderr.contains("has 0 ready replicas, and 2 are needed"), "{code} {stderr}");
    serve(&fixture, 1).await;
    let (code, _, stderr) = install(&["--service-name", "counted"]);
    assert!(code == 2 && stderr.contains("has 1 ready replicas, and 2 are needed"), "{code} {stderr}");
    serve(&fixture, 2).await;
    let (code, _, stderr) = install(&["--service-name", "counted"]);
    assert!(code == 0 && stderr.contains("while no replica answers"), "{code} {stderr}");

    let problems = || fixture.webhook(&["doctor", "-n", &fixture.home]).1;
    assert!(!problems().contains("endpoint"), "{}", problems());
    serve(&fixture, 1).await;
    assert!(problems().contains("it fails closed with one ready replica"), "{}", problems());
    serve(&fixture, 0).await;
    assert!(problems().contains("counted has no ready endpoint"), "{}", problems());
    webhook.kill();
    let secret = certificate(&fixture);
    let webhooks = json!([{ "name": "validate.devops.stochastic.io", "clientConfig": { "caBundle": secret["ca.crt"] } }]);
    let edit = Patch::Strategic(json!({ "webhooks": webhooks }));
    configurations.patch(CONFIGURATION, &PatchParams::default(), &edit).await.unwrap();
    assert!(problems().contains("its caBundle is not the one of the Secret"), "{}", problems());
}

/// Gives the Service `counted` so many ready endpoints.
async fn serve(fixture: &WebhookFixture, ready: usize) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "counted" },
        "spec": { "ports": [{ "port": 443 }] },
    });
    let endpoint = |at: usize| {
        json!({
            "addresses": [format!("10.1.2.{}", at + 3)], "conditions": { "ready": at < ready },
            "targetRef": { "kind": "Pod", "name": format!("webhook-{at}"), "uid": format!("uid-{at}") },
        })
    };
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": "counted", "labels": { "kubernetes.io/service-name": "counted" } },
        "addressType": "IPv4", "ports": [{ "port": 8443 }], "endpoints": [endpoint(0), endpoint(1)],
    });
    let (services, slices): (Api<Service>, Api<EndpointSlice>) = (
        Api::namespaced(fixture.client.clone(), &fixture.home),
        Api::namespaced(fixture.client.clone(), &fixture.home),
    );
    let params = PatchParams::apply("test").force();
    services.patch("counted", &params, &Patch::Apply(service)).await.unwrap();
    slices.patch("counted", &params, &Patch::Apply(slice)).await.unwrap();
}

/// Returns the data of the Secret that `cert-generate` prints.
fn certificate(fixture: &WebhookFixture) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-devops"));
    let arguments = ["-n", &fixture.home, "--tls-name", "127.0.0.1", "-o", "json"];
    let output = command.args(["webhook", "cert-generate"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["items"][0]["data"].take()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_api_server_trusts_a_certificate_of_files() {
    let fixture = WebhookFixture::new().await;
    let (directory, data) = (tempfile::tempdir().unwrap(), certificate(&fixture));
    let file = |name: &str| {
        let path = directory.path().join(name);
        fs::write(&path, BASE64_STANDARD.decode(data[name].as_str().unwrap()).unwrap()).unwrap();
        path.display().to_string()
    };
    let (certificate, key, authority) = (file("tls.crt"), file("tls.key"), file("ca.crt"));
    let _webhook = fixture.replica(&["--tls-cert", &certificate, "--tls-key", &key]);
    let url = format!("https://127.0.0.1:{}", fixture.port);
    let (code, _, stderr) =
        fixture.webhook(&["install-config", "-n", &fixture.home, "--url", &url, "--ca-file", &authority]);
    assert_eq!(code, 0, "{stderr}");
    fixture.until_denied().await;
    let secrets: Api<k8s_openapi::api::core::v1::Secret> =
        Api::namespaced(fixture.client.clone(), &fixture.home);
    assert!(secrets.get_opt("kube-devops-webhook-tls").await.unwrap().is_none(), "it keeps none of its own");
}
