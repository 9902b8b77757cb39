//! The webhook beside native admission: each rule is evaluated by one of them, and by the webhook if in doubt.

use super::fixture::{WebhookFixture, object};
use crate::analyze::on;
use crate::eventually::eventually;
use crate::operator::fixture::OperatorFixture;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube_devops::manifests::{DENY_POLICY, Mode};
use serde_json::json;

/// The start of a warning by the webhook. One by native admission begins with the name of its policy.
const BY_WEBHOOK: &str = "Warning: policy baseline, rule missing-readiness";
const BY_NATIVE: &str = "ValidatingAdmissionPolicy 'kube-devops-warn'";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn rules_are_left_to_native_admission_only_while_it_evaluates_them() {
    let fixture = WebhookFixture::new().await;
    let start = fixture.plane.mark();
    let _webhook = fixture.replica(&[]);
    fixture.install_by_service().await;
    let home = ["-n", &fixture.home];
    let compile = || on(fixture.plane.kubeconfig(), &[&["policy", "compile", "--apply"], &home[..]].concat());
    let doctor = || on(fixture.plane.kubeconfig(), &[&["webhook", "doctor"], &home[..]].concat());
    let operators = OperatorFixture::of(&fixture.plane, Mode::Native).await;
    let operator = operators.replica("operator-0", &["--admission", "native"]);
    operator.wait_until_ready();
    let warnings = || {
        let good = object("v1", "Pod", "web", "nginx:1.27");
        fixture.kubectl(&["create", "--dry-run=server", "-f", "-"], &good).1
    };
    // The verdict is on the Namespace, and nothing reads it.
    assert!(warnings().contains(BY_WEBHOOK), "{}", warnings());

    assert_eq!(compile().code, 0);
    eventually("warnings of native admission alone", async || {
        let warnings = warnings();
        (warnings.contains(BY_NATIVE) && !warnings.contains(BY_WEBHOOK)).then_some(())
    })
    .await;

    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(fixture.client.clone());
    bindings.delete(DENY_POLICY, &DeleteParams::default()).await.unwrap();
    eventually("a denial by the webhook", async || {
        let bad = object("v1", "Pod", "web", "nginx");
        let (_, stderr) = fixture.kubectl(&["create", "--dry-run=server", "-f", "-"], &bad);
        stderr
            .contains("admission webhook \"validate.devops.stochastic.io\" denied the request")
            .then_some(())
    })
    .await;
    let examined = doctor();
    let problem = format!("there is no ValidatingAdmissionPolicyBinding \"{DENY_POLICY}\"");
    assert!(examined.code == 1 && examined.stdout.contains(&problem), "{}", examined.stdout);

    // A selector more takes the policy out of effect, too.
    assert_eq!(compile().code, 0);
    let never = json!({ "spec": { "matchResources": { "namespaceSelector": { "matchLabels": { "never": "set" } } } } });
    bindings.patch(DENY_POLICY, &PatchParams::default(), &Patch::Merge(never)).await.unwrap();
    let examined = doctor();
    let problem =
        format!("ValidatingAdmissionPolicyBinding \"{DENY_POLICY}\" is not the one of this version");
    assert!(examined.code == 1 && examined.stdout.contains(&problem), "{}", examined.stdout);
    let line = |outcome: &str| format!("validatingadmissionpolicybinding {DENY_POLICY} {outcome}\n");
    let compiled = compile();
    assert!(compiled.stdout.contains(&line("changed")), "{}", compiled.stdout);
    let compiled = compile();
    assert!(compiled.stdout.contains(&line("unchanged")), "{}", compiled.stdout);

    // The webhook watches the policies, and does not ask for them again and again.
    let account = format!("system:serviceaccount:{}:", fixture.home);
    let by_webhook = |verb: &str| {
        let events = fixture.plane.requests_since(start).into_iter();
        let of_policies = events.filter(|event| {
            event.user.starts_with(&account) && event.resource.starts_with("validatingadmissionpolic")
        });
        of_policies.filter(|event| event.verb == verb).count()
    };
    assert_eq!(by_webhook("get"), 0);
    assert!(by_webhook("watch") >= 4);
}
