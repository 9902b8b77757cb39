//! Releases of the Helm chart on a real API server, beside the commands that install the same objects.

use kube::api::{Patch, PatchParams};
use kube_devops::manifests::{
    AdmissionSettings, OBJECT_MANAGER, admission_policies, crds, manifest, self_fence,
};
use serde_json::{Value, json};

use super::chart::{chart, helm};
use crate::analyze::on;
use crate::apply::api_of;
use crate::control_plane::ControlPlane;

/// Runs a command of Helm on the release `kube-devops` in a namespace.
fn release(program: &str, plane: &ControlPlane, command: &[&str]) -> Result<String, String> {
    let kubeconfig = plane.kubeconfig().to_str().unwrap();
    let arguments = [command, &["--namespace", "ops", "--kubeconfig", kubeconfig]].concat();
    helm(program, &arguments, &json!({}))
}

#[test]
#[ignore = "needs a control plane and Helm: make test"]
fn the_admission_policies_of_a_release_are_updated_by_helm_alone() {
    let plane = ControlPlane::start();
    let chart = chart();
    let chart = chart.to_str().unwrap();
    for program in ["helm4", "helm3"] {
        release(program, &plane, &["install", "kube-devops", chart, "--create-namespace"]).unwrap();
        let compiled = on(plane.kubeconfig(), &["policy", "compile", "--apply", "--namespace", "ops"]);
        assert_eq!(compiled.code, 2, "{program}: {compiled:?}");
        let said = "the Helm release kube-devops in namespace ops manages the validatingadmissionpolicy \
                    kube-devops-namespace-fence: upgrade the release";
        assert!(compiled.stderr.contains(said), "{program}: {compiled:?}");
        let installed = on(plane.kubeconfig(), &["crd", "install"]);
        assert!(
            installed.code == 0 && installed.stderr.contains("the Helm release kube-devops"),
            "{installed:?}"
        );
        // The CRDs are those of the chart, so that nothing conflicts.
        let upgrade = ["upgrade", "kube-devops", chart, "--reset-then-reuse-values"];
        release(program, &plane, &upgrade).unwrap_or_else(|error| panic!("{program}: {error}"));
        release(program, &plane, &["uninstall", "kube-devops", "--no-hooks"]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane and Helm: make test"]
async fn a_release_adopts_what_older_commands_installed() {
    let plane = ControlPlane::start();
    let client = plane.client().await;
    let as_ours = PatchParams::apply(OBJECT_MANAGER).force();
    for crd in crds() {
        let mut crd = manifest(&crd).unwrap();
        crd["spec"]["versions"][0]["additionalPrinterColumns"] = json!([]);
        api_of(&client, &crd).patch(&name(&crd), &as_ours, &Patch::Apply(&crd)).await.unwrap();
    }
    let compiled = on(plane.kubeconfig(), &["policy", "compile", "--apply", "--namespace", "ops"]);
    assert_eq!(compiled.code, 0, "{compiled:?}");
    let chart = chart();
    let install =
        ["install", "kube-devops", chart.to_str().unwrap(), "--create-namespace", "--take-ownership"];
    let refused = release("helm4", &plane, &install).unwrap_err();
    assert!(refused.contains("conflict with \"kube-devops\""), "{refused}");
    // An attempt that failed is a release, too.
    release("helm4", &plane, &["uninstall", "kube-devops", "--no-hooks"]).unwrap();
    release("helm4", &plane, &[&install[..], &["--force-conflicts"]].concat()).unwrap();
    let wanted = manifest(&crds()[0]).unwrap();
    let stored = api_of(&client, &wanted).get(&name(&wanted)).await.unwrap();
    let columns = |spec: &Value| spec["versions"][0]["additionalPrinterColumns"].clone();
    assert_eq!(columns(&stored.data["spec"]), columns(&wanted["spec"]));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn two_managers_that_apply_the_same_policies_do_not_conflict() {
    let plane = ControlPlane::start();
    let client = plane.client().await;
    let objects = admission_policies(&AdmissionSettings {
        namespace: "ops".to_owned(),
        account: "operator".to_owned(),
        system_namespaces: Vec::new(),
    });
    let objects = objects.unwrap().into_iter().chain(self_fence("ops", "operator", &[]));
    for object in objects {
        for manager in ["one", "two", "one"] {
            let (api, params) = (api_of(&client, &object), PatchParams::apply(manager));
            let applied = api.patch(&name(&object), &params, &Patch::Apply(&object)).await;
            applied
                .unwrap_or_else(|error| panic!("{manager}, {} {}: {error}", object["kind"], name(&object)));
        }
    }
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}
