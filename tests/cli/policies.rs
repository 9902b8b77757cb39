//! Policies in files, and the CRDs that say what a policy is.

use std::fmt::Write as _;

use assert_cmd::Command;
use insta::assert_snapshot;
use serde_json::Value;

use super::invalid_policies::{INVALID, VALID, manifest};
use super::{directory, run, run_in, without_lists};

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'nginx:1'}]}\n";

/// Evaluates a pod under a policy with this spec.
fn under(spec: &str) -> super::Run {
    let policy = manifest("strict", spec);
    let tree = directory(&[("pod.yaml", POD.as_bytes()), ("policy.yaml", policy.as_bytes())]);
    run_in(tree.path(), &["analyze", "-f", "pod.yaml", "--policy", "policy.yaml"], "")
}

#[test]
fn refused_policy_files_name_the_field() {
    let mut refusals = String::new();
    for (spec, field) in INVALID {
        let run = under(spec);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{spec}: {run}");
        assert!(run.stderr.contains(field), "{spec}: {run}");
        for rust in
            ["u32", "u16", "i64", "expected", "variant", "struct", "field ident", "unit value", "sequence"]
        {
            assert!(!run.stderr.contains(rust), "{spec}: {rust}: {run}");
        }
        write!(refusals, "{spec}\n    {}", run.stderr).unwrap();
    }
    assert_snapshot!(without_lists(&refusals));
}

#[test]
fn files_accept_what_the_api_server_accepts() {
    for spec in VALID {
        let run = under(spec);
        assert_eq!(run.status, 0, "{spec}: {run}");
    }
}

#[test]
fn a_policy_that_turns_no_rule_on_is_noted() {
    assert_eq!(under("{}").stderr, "note: policy policy.yaml turns no rule on, so nothing can violate it\n");
    assert_eq!(under("{forbidLatestTag: true}").stderr, "");
}

#[test]
fn crds_are_printed_as_yaml_and_as_json() {
    let yaml = run(&["crd", "generate"]);
    assert_eq!((yaml.status, yaml.stderr.as_str()), (0, ""));
    let documents: Vec<Value> = yaml_serde::Deserializer::from_str(&yaml.stdout)
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .collect();
    let names = ["devopspolicies", "clusterdevopspolicies", "policyauditresults"]
        .map(|plural| format!("{plural}.devops.stochastic.io"));
    assert_eq!(
        documents.iter().map(|crd| crd["metadata"]["name"].as_str().unwrap()).collect::<Vec<_>>(),
        names
    );
    let json =
        Command::cargo_bin("kube-devops").unwrap().args(["crd", "generate", "-o", "json"]).output().unwrap();
    let list: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&list["kind"], list["items"].as_array().unwrap()), (&"List".into(), &documents));
}

#[test]
fn an_install_without_a_cluster_names_the_missing_settings() {
    let tree = directory(&[]);
    let run = run_in(tree.path(), &["crd", "install"], "");
    assert_eq!((run.status, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.starts_with("error: no cluster: "), "{run}");
}

#[test]
fn an_import_prunes_nothing_while_a_subdirectory_is_not_read() {
    let tree = directory(&[("set/one.yaml", manifest("one", "{}").as_bytes())]);
    std::fs::create_dir(tree.path().join("set/more")).unwrap();
    let import = ["policy", "import", "-f", "set", "--set", "main", "--prune", "-n", "n"];
    let run = run_in(tree.path(), &import, "");
    assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run}");
    let refusal = "set/more is not read, so --prune would delete its policies: add -R";
    assert!(run.stderr.contains(refusal), "{run}");
}
