//! An import that is killed in the middle has done the lines that it printed, and at most the next one.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use kube::api::{Api, DeleteParams, ListParams};
use kube::{Client, ResourceExt};
use kube_devops::policy::DevOpsPolicy;

use crate::analyze::on;
use crate::control_plane::ControlPlane;
use crate::eventually::eventually;

/// The number of policies, whose names are in the order of the import.
const POLICIES: usize = 60;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_killed_import_has_done_its_lines_and_the_next_one_does_the_rest() {
    let plane = ControlPlane::shared();
    assert_eq!(on(plane.kubeconfig(), &["crd", "install"]).code, 0);
    let (client, namespace) = (plane.client().await, plane.namespace("import"));
    let names: Vec<String> = (0..POLICIES).map(|number| format!("p{number:02}")).collect();
    let policy = |name: &String| {
        format!(
            "---\napiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\n\
             metadata: {{name: {name}, namespace: {namespace}}}\nspec: {{forbidLatestTag: true}}\n"
        )
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("set.yaml");
    std::fs::write(&file, names.iter().map(policy).collect::<String>()).unwrap();
    let line = |name: &String, what: &str| format!("policy {namespace}/{name} {what}\n");
    for after in [1, 7, 40] {
        let printed = killed_after(plane.kubeconfig(), &file, after);
        let done = stored(&client, &namespace).await;
        assert_eq!(done, names[..done.len()], "in their order");
        println!("killed after {after} lines: {} printed, {} stored", printed.len(), done.len());
        assert!((printed.len()..=printed.len() + 1).contains(&done.len()), "{printed:?}: {done:?}");
        let expected: Vec<_> = done.iter().map(|name| line(name, "created")).take(printed.len()).collect();
        assert_eq!(printed, expected);

        let rest = on(plane.kubeconfig(), &["policy", "import", "-f", file.to_str().unwrap()]);
        assert_eq!(rest.code, 0, "{rest:?}");
        // The API server may have stored the policy on the way after the list.
        let found = rest.stdout.matches(" unchanged\n").count();
        assert!((done.len()..=printed.len() + 1).contains(&found), "{done:?}: {rest:?}");
        let what = |index| if index < found { "unchanged" } else { "created" };
        let expected: String =
            names.iter().enumerate().map(|(index, name)| line(name, what(index))).collect();
        assert_eq!(rest.stdout, expected);
        let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), &namespace);
        policies.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
        eventually("no policies", async || stored(&client, &namespace).await.is_empty().then_some(())).await;
    }
}

/// Runs an import, kills it after some lines, and returns all lines that it printed.
fn killed_after(kubeconfig: &Path, file: &Path, lines: usize) -> Vec<String> {
    let mut import = Command::new(env!("CARGO_BIN_EXE_kube-devops"))
        .args(["policy", "import", "-f", file.to_str().unwrap(), "--kubeconfig"])
        .arg(kubeconfig)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = Vec::new();
    let mut stdout = BufReader::new(import.stdout.take().unwrap());
    let mut text = String::new();
    while stdout.read_line(&mut text).unwrap() > 0 {
        printed.push(std::mem::take(&mut text));
        if printed.len() == lines {
            import.kill().unwrap();
        }
    }
    import.wait().unwrap();
    printed
}

async fn stored(client: &Client, namespace: &str) -> Vec<String> {
    let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), namespace);
    let found = policies.list(&ListParams::default()).await.unwrap().items;
    found.iter().map(ResourceExt::name_any).collect()
}
