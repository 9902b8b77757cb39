//! Many clusters, as far as it needs none.

use serde_json::{Value, json};

use super::{Run, directory, run_in};

fn kubeconfig(contexts: &[&str]) -> String {
    let contexts: Vec<_> = contexts
        .iter()
        .map(|name| json!({ "name": name, "context": { "cluster": "dead", "user": "" } }))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a", "contexts": contexts,
        "clusters": [{ "name": "dead", "cluster": { "server": "https://127.0.0.1:1" } }],
    })
    .to_string()
}

fn fleet(args: &[&str]) -> Run {
    let (one, other) = (kubeconfig(&["a", "b"]), kubeconfig(&["a"]));
    let tree = directory(&[("one.yaml", one.as_bytes()), ("other.yaml", other.as_bytes())]);
    run_in(tree.path(), &[&["multi-cluster"], args].concat(), "")
}

#[test]
fn a_dead_cluster_is_a_row_with_its_reason() {
    let run = fleet(&["analyze", "--all", "--kubeconfig", "one.yaml", "-o", "json"]);
    assert_eq!((run.status, run.stderr.as_str()), (2, ""), "{run}");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let summary = &report["summary"];
    assert_eq!(
        (&summary["failed"], &summary["score"], &summary["partial"]),
        (&json!(2), &Value::Null, &json!(true))
    );
    let reason = report["clusters"][1]["reason"].as_str().unwrap();
    assert!(reason.starts_with("cannot reach https://127.0.0.1:1: "), "{reason}");
    let text = fleet(&["list-contexts", "--kubeconfig", "one.yaml"]);
    assert_eq!(text.status, 2, "{text}");
    assert!(text.stdout.starts_with("CURRENT   CONTEXT   CLUSTER   VERSION   SERVER   RESULT\n*"), "{text}");
}

#[test]
fn the_status_of_a_dead_cluster_is_a_row_with_its_reason() {
    let run = fleet(&["status", "--all", "--kubeconfig", "one.yaml"]);
    assert_eq!((run.status, run.stderr.as_str()), (2, ""), "{run}");
    assert!(run.stdout.contains("cannot reach https://127.0.0.1:1: "), "{run}");
    assert!(
        run.stdout.contains("Health score       : Unknown\nPartial: 2 clusters could not be read."),
        "{run}"
    );
}

#[test]
fn a_context_that_two_files_have_is_named_with_its_file() {
    let both = ["--kubeconfig", "one.yaml", "--kubeconfig", "other.yaml", "-o", "json"];
    let run = fleet(&[&["analyze"][..], &both].concat());
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let names: Vec<_> =
        report["clusters"].as_array().unwrap().iter().map(|row| row["context"].clone()).collect();
    assert_eq!(names, ["one.yaml:a", "other.yaml:a"]);
}

#[test]
fn flags_of_the_connection_count_in_every_cluster() {
    let reason = |flags: &[&str]| {
        let run = fleet(&[&["list-contexts", "--kubeconfig", "one.yaml"], flags].concat());
        assert_eq!(run.status, 2, "{run}");
        run.stdout
    };
    let refused = reason(&["--certificate-authority", "nowhere.pem"]);
    assert_eq!(refused.matches("nowhere.pem").count(), 2, "{refused}");
    let both = reason(&["--insecure-skip-tls-verify", "--certificate-authority", "one.yaml"]);
    assert_eq!(both.matches("it conflicts with a certificate authority").count(), 2, "{both}");
}

#[cfg(unix)]
#[test]
fn a_plugin_that_hangs_does_not_outlive_the_command() {
    let mut config: Value = serde_json::from_str(&kubeconfig(&["a"])).unwrap();
    config["contexts"][0]["context"]["user"] = json!("slow");
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["hang.sh"],
        "interactiveMode": "Never",
    });
    config["users"] = json!([{ "name": "slow", "user": { "exec": exec } }]);
    let script = "(sleep 30; echo >survived) & sleep 30\n";
    let tree = directory(&[("config.json", config.to_string().as_bytes()), ("hang.sh", script.as_bytes())]);
    let args = ["multi-cluster", "list-contexts", "--kubeconfig", "config.json", "--timeout", "1s"];
    // The processes of the plugin hold the standard error, so that this waits for their end.
    let run = run_in(tree.path(), &args, "");
    assert!(run.status == 2 && run.stdout.contains("no result within 1s"), "{run}");
    assert!(!tree.path().join("survived").exists());
}

#[test]
fn a_missing_or_unknown_choice_of_clusters_is_refused() {
    for (args, refusal) in [
        (
            &["analyze", "--contexts", "c", "--kubeconfig", "one.yaml"][..],
            "no context \"c\"; the contexts are a, b",
        ),
        (&["analyze", "--all", "--kubeconfig", "none.yaml"], "none.yaml"),
        (&["analyze", "--all", "--contexts", "a"], "cannot be used with"),
        (&["status", "--cluster-profiles", "--kubeconfig", "one.yaml"], "--clusterprofile-provider-file"),
        (&["list-contexts", "--hub-context", "a", "--kubeconfig", "one.yaml"], "--cluster-profiles"),
        (&["status", "--all", "--server", "https://other"], "choose contexts by --contexts"),
        (&["analyze", "--context", "a"], "'--context <NAME>': each context names its own server"),
        (&["list-contexts", "--cluster", "a"], "choose contexts by --contexts"),
        (&["list-contexts", "--user=a"], "choose contexts by --contexts"),
        (
            &[
                "list-contexts",
                "--cluster-profiles",
                "--clusterprofile-provider-file",
                "one.yaml",
                "--kubeconfig",
                "one.yaml",
            ],
            "cannot list the ClusterProfiles of the hub: cannot reach https://127.0.0.1:1",
        ),
    ] {
        let run = fleet(args);
        assert!(run.status == 2 && run.stderr.contains(refusal), "{args:?}: {run}");
    }
}
