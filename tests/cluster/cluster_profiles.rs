//! The clusters of a hub's ClusterProfiles, with the published CRD.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::analyze::{Outcome, on};
use crate::apply::{api_of, apply};
use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use crate::upstream;

/// Prints the token that the profile's variable names, and records each run with the description of the cluster.
const PLUGIN: &str = r#"
echo "$KUBERNETES_EXEC_INFO" >>"$(dirname "$0")/runs"
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "'"$TOKEN"'"}}'
"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane and Go: make test"]
async fn the_clusters_of_a_hub_are_read_with_the_commands_of_the_provider_file() {
    let (hub, member) = (ControlPlane::shared(), ControlPlane::start());
    let client = hub.client().await;
    let directory = tempfile::tempdir().unwrap();
    let plugin = directory.path().join("plugin");
    fs::write(&plugin, PLUGIN).unwrap();
    let provider = |policy: Value| {
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": [plugin],
            "env": null, "provideClusterInfo": true,
        });
        json!({ "providers": [
            { "name": "tokens", "execConfig": exec, "profileSourcedEnvVarsPolicy": policy },
        ] })
    };
    let (file, strict) = (directory.path().join("providers.json"), directory.path().join("strict.json"));
    fs::write(&file, provider(json!("AppendIfNotExists")).to_string()).unwrap();
    fs::write(&strict, provider(Value::Null).to_string()).unwrap();
    let fleet = |file: &Path, args: &[&str]| -> Outcome {
        let hub_flags = [
            "--cluster-profiles",
            "--clusterprofile-provider-file",
            file.to_str().unwrap(),
            "--timeout",
            "30s",
        ];
        on(hub.kubeconfig(), &[&["multi-cluster"], args, &hub_flags].concat())
    };
    let none = fleet(&file, &["list-contexts"]);
    assert!(none.code == 2 && none.stderr.contains("has no ClusterProfiles"), "{none:?}");

    let crd = "config/crd/bases/multicluster.x-k8s.io_clusterprofiles.yaml";
    apply(&client, &upstream::crd("cluster-profiles", "sigs.k8s.io/cluster-inventory-api", crd))
        .await
        .unwrap();
    let namespace = hub.namespace("inventory");
    for (name, field, provider, token) in [
        ("a", "accessProviders", "tokens", "admin"),
        ("former", "credentialProviders", "tokens", "admin"),
        ("other", "accessProviders", "others", "admin"),
        ("wrong", "accessProviders", "tokens", "wrong"),
    ] {
        let profile = json!({
            "apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ClusterProfile",
            "metadata": { "name": name, "namespace": namespace },
            "spec": { "clusterManager": { "name": "test" }, "displayName": format!("the cluster {name}") },
        });
        eventually("the CRD is served", async || apply(&client, &profile).await.ok()).await;
        let access = json!([{ "name": provider, "cluster": cluster(&member, token) }]);
        let status = Patch::Merge(json!({ "status": { field: access } }));
        api_of(&client, &profile).patch_status(name, &PatchParams::default(), &status).await.unwrap();
    }

    let listed = fleet(&file, &["list-contexts"]);
    assert_eq!(listed.code, 2, "{listed:?}");
    let row = |name: &str| {
        let start = format!("{namespace}/{name} ");
        let row = listed.stdout.lines().find(|line| line.trim_start().starts_with(&start));
        row.unwrap_or_else(|| panic!("no {name}: {listed:?}"))
    };
    assert!(row("a").contains("the cluster a") && row("a").ends_with("reachable"), "{listed:?}");
    assert!(row("former").ends_with(&format!("reachable, the cluster of {namespace}/a")), "{listed:?}");
    assert!(row("other").contains("names no provider of the provider file: it has others"), "{listed:?}");
    assert!(row("wrong").contains("didn't accept the credentials"), "{listed:?}");
    let runs = fs::read_to_string(directory.path().join("runs")).unwrap();
    let infos: Vec<Value> = runs.lines().map(|run| serde_json::from_str(run).unwrap()).collect();
    assert!(infos.iter().all(|info| info["spec"]["interactive"] == false), "{runs}");
    assert!(infos.iter().all(|info| info["spec"]["cluster"]["config"]["audience"] == "test"), "{runs}");

    let chosen = ["--contexts", &format!("{namespace}/a")];
    let analyzed = fleet(&file, &[&["analyze", "-o", "json"], &chosen[..]].concat());
    assert_eq!(analyzed.code, 0, "{analyzed:?}");
    let report: Value = serde_json::from_str(&analyzed.stdout).unwrap();
    assert_eq!(report["summary"]["clusters"], 1);
    let status = fleet(&file, &[&["status"], &chosen[..]].concat());
    assert!(status.code == 0 && status.stdout.contains("no policies"), "{status:?}");
    // The file decides if a profile may set variables.
    let refused = fleet(&strict, &[&["status"], &chosen[..]].concat());
    assert!(refused.code == 2 && refused.stdout.contains("neither a token nor a certificate"), "{refused:?}");
}

/// Returns the description of a cluster in a profile, with a variable for the plugin.
fn cluster(member: &ControlPlane, token: &str) -> Value {
    let config: Value = serde_json::from_str(&fs::read_to_string(member.kubeconfig()).unwrap()).unwrap();
    let known = &config["clusters"][0]["cluster"];
    let authority = match known["certificate-authority"].as_str() {
        Some(path) => STANDARD.encode(fs::read(path).unwrap()),
        None => known["certificate-authority-data"].as_str().unwrap().to_owned(),
    };
    json!({
        "server": known["server"],
        "certificate-authority-data": authority,
        "extensions": [
            { "name": "client.authentication.k8s.io/exec", "extension": { "audience": "test" } },
            { "name": "clusterprofiles.multicluster.x-k8s.io/exec/additional-envs", "extension": { "TOKEN": token } },
        ],
    })
}
