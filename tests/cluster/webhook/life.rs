//! The configuration is repaired, suspended and removed, and what is left behind bricks nothing.

use super::fixture::WebhookFixture;
use crate::analyze::on;
use crate::eventually::eventually;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use kube_devops::policy::{ADMISSION_DENY, ADMISSION_LABEL, DENY_ANNOTATION};
use serde_json::json;

const CONFIGURATION: &str = "kube-devops-webhook";

fn configurations(fixture: &WebhookFixture) -> Api<ValidatingWebhookConfiguration> {
    Api::all(fixture.client.clone())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_edited_ca_bundle_is_restored() {
    let fixture = WebhookFixture::new().await;
    let _webhook = fixture.replica(&[]);
    fixture.install_by_service().await;
    let api = configurations(&fixture);
    let mut edited = api.get(CONFIGURATION).await.unwrap();
    let bundle = edited.webhooks.as_ref().unwrap()[0].client_config.ca_bundle.clone();
    edited.webhooks.as_mut().unwrap()[0].client_config.ca_bundle = Some(ByteString(b"garbage".to_vec()));
    api.replace(CONFIGURATION, &PostParams::default(), &edited).await.unwrap();
    eventually("the former bundle", async || {
        let now = api.get(CONFIGURATION).await.unwrap().webhooks.unwrap().remove(0).client_config.ca_bundle;
        (now == bundle).then_some(())
    })
    .await;
    fixture.until_denied().await;
    let (code, stdout, stderr) = fixture.webhook(&["doctor"]);
    assert_eq!((code, &*stdout), (0, "no problem found\n"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_break_glass_holds_at_once_and_ends_by_itself() {
    let fixture = WebhookFixture::new().await;
    let webhook = fixture.replica(&[]);
    fixture.install_by_service().await;
    let (code, stdout, stderr) = fixture.webhook(&["break-glass", "--for", "4s"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.starts_with("validatingwebhookconfiguration kube-devops-webhook denies nothing until "),
        "{stdout}"
    );
    assert!(stderr.contains("denials return by themselves"), "{stderr}");
    eventually("an object that is not denied", async || fixture.create("Pod", "nginx").await.ok()).await;
    fixture.until_denied().await;
    webhook.kill();
    let (code, ..) = fixture.webhook(&["break-glass", "--for", "1s"]);
    assert_eq!(code, 0);
    eventually("a suspension that nobody ends", async || {
        let (code, stdout, _) = fixture.webhook(&["doctor"]);
        (code == 1 && stdout.contains("its break-glass is overdue since")).then_some(())
    })
    .await;
    let (code, stdout, _) = fixture.webhook(&["break-glass", "--end"]);
    let again = "validatingwebhookconfiguration kube-devops-webhook denies again\n\
                 mutatingwebhookconfiguration kube-devops-webhook denies again\n";
    assert_eq!((code, &*stdout), (0, again));
    let (code, stdout, stderr) = fixture.webhook(&["break-glass", "--end"]);
    assert_eq!((code, &*stdout, &*stderr), (0, "", "note: no denial is suspended\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn all_that_a_deleted_namespace_left_behind_bricks_nothing_and_is_cleaned_up() {
    let fixture = WebhookFixture::new().await;
    let webhook = fixture.replica(&[]);
    fixture.install_by_service().await;
    let ours = |arguments: &[&str]| on(fixture.plane.kubeconfig(), arguments);
    assert_eq!(ours(&["policy", "compile", "-n", &fixture.home, "--apply"]).code, 0);
    let namespaces: Api<Namespace> = Api::all(fixture.client.clone());
    let verdict = json!({ "metadata": {
        "labels": { ADMISSION_LABEL: ADMISSION_DENY },
        "annotations": { DENY_ANNOTATION: "latest-tag;baseline" },
    } });
    namespaces.patch(&fixture.shop, &PatchParams::default(), &Patch::Merge(verdict)).await.unwrap();
    webhook.kill();
    namespaces.delete(&fixture.home, &DeleteParams::default()).await.unwrap();
    eventually("the end of the namespace", async || {
        namespaces.get_opt(&fixture.home).await.unwrap().is_none().then_some(())
    })
    .await;
    fixture.create("Deployment", "nginx:1.27").await.expect("nothing is bricked");
    eventually("a denial by what is left of native admission", async || {
        let denied = fixture.create("Deployment", "nginx").await.err()?.to_string();
        denied.contains("'kube-devops-deny' denied request").then_some(())
    })
    .await;
    let (code, stdout, _) = fixture.webhook(&["doctor"]);
    assert_eq!(code, 1);
    assert!(
        stdout.contains("was left behind by namespace") && stdout.contains("were stored without evaluation"),
        "{stdout}"
    );
    let (code, stdout, stderr) = fixture.webhook(&["uninstall", "-n", &fixture.home]);
    assert_eq!(
        (code, &*stdout),
        (
            0,
            "validatingwebhookconfiguration kube-devops-webhook removed\n\
             mutatingwebhookconfiguration kube-devops-webhook removed\n"
        ),
        "{stderr}"
    );
    assert!(configurations(&fixture).get_opt(CONFIGURATION).await.unwrap().is_none());
    let removed = ours(&["uninstall", "-n", &fixture.home]);
    assert_eq!(removed.code, 0, "{}", removed.stderr);
    for name in ["kube-devops-deny", "kube-devops-warn", "kube-devops-namespace-fence"] {
        assert!(removed.stdout.contains(name), "{name}: {}", removed.stdout);
    }
    eventually("an object that nothing denies", async || fixture.create("Deployment", "nginx").await.ok())
        .await;
    let shop = namespaces.get(&fixture.shop).await.unwrap();
    assert!(
        !shop.labels().contains_key(ADMISSION_LABEL) && !shop.annotations().contains_key(DENY_ANNOTATION)
    );
    let (code, stdout, _) = fixture.webhook(&["doctor"]);
    assert_eq!((code, &*stdout), (0, "no problem found\n"));
}
