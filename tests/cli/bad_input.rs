//! Bad input: one clear error each, naming file, document and line; everything else is still evaluated.

use std::fmt::Write as _;

use insta::assert_snapshot;

use super::{directory, run, run_in, without_lists};

const GOOD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: good}\nspec: {containers: [{name: c, image: 'nginx:1'}]}\n";

/// Reads a directory that holds one good file and a bad one.
fn beside_a_good_one(name: &str, bad: &[u8]) -> super::Run {
    let tree = directory(&[("good.yaml", GOOD.as_bytes()), (name, bad)]);
    run_in(tree.path(), &["analyze", "-f", "good.yaml", "-f", name], "")
}

#[test]
fn a_broken_document_does_not_affect_the_others() {
    let bad = format!("{GOOD}---\nkind: [Pod\n---\n{GOOD}");
    assert_snapshot!(beside_a_good_one("bad.yaml", bad.as_bytes()));
}

#[test]
fn a_wrong_type_is_named_with_its_field() {
    let bad = format!(
        "{GOOD}---\n# why\napiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: c\n    image: 5\n"
    );
    assert_snapshot!(beside_a_good_one("bad.yaml", bad.as_bytes()));
    let bad = r#"{"apiVersion": "v1", "kind": "Pod",
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "lots"}}}]}}"#;
    assert_snapshot!(beside_a_good_one("bad.json", bad.as_bytes()));
}

#[test]
fn a_broken_item_of_a_list_is_named() {
    let item = |name: &str, image: &str| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "{name}", "namespace": "shop"}},
            "spec": {{"containers": [{{"name": "c", "image": {image}}}]}}}}"#
        )
    };
    let items = [item("web", "\"a:1\""), item("cart", "5"), item("api", "\"a:1\"")].join(",\n");
    let list = format!(r#"{{"apiVersion": "v1", "items": [{items}], "kind": "List"}}"#);
    assert_snapshot!(beside_a_good_one("list.json", list.as_bytes()));
    // Any JSON is YAML, behind a marker too.
    assert_snapshot!(beside_a_good_one("list.yaml", format!("---\n{list}").as_bytes()));
}

#[test]
fn a_pod_without_containers_is_an_error_and_no_clean_pod() {
    let bare = b"apiVersion: v1\nkind: Pod\nmetadata: {name: bare}\n---\n\
                 apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: patch}\nspec: {replicas: 3}\n";
    assert_snapshot!(beside_a_good_one("bare.yaml", bare));
}

#[test]
fn a_yaml_bomb_is_refused() {
    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    for n in 1..40 {
        writeln!(bomb, "a{n}: &a{n} [*a{0}, *a{0}]", n - 1).unwrap();
    }
    bomb.push_str("apiVersion: v1\nkind: Pod\nspec: {containers: [], x: *a39}\n");
    assert_snapshot!(beside_a_good_one("bomb.yaml", bomb.as_bytes()));
}

#[test]
fn files_that_are_no_manifests_are_named() {
    assert_snapshot!(beside_a_good_one("binary.yaml", b"\x7fELF\0\0\0"));
    assert_snapshot!(beside_a_good_one("empty.yaml", b""));
    assert_snapshot!(beside_a_good_one("values.yaml", b"replicas: 1\n"));
    assert_snapshot!(beside_a_good_one("chart.yaml", b"kind: {{ .Values.kind }}\n"));
}

#[test]
fn recursion_is_suggested_only_for_directories() {
    let tree = directory(&[("flat/a.txt", b""), ("deep/b/c.yaml", GOOD.as_bytes())]);
    let error = |path: &str| run_in(tree.path(), &["analyze", "-f", path], "").stderr;
    assert_eq!(error("flat"), "error: flat: no file in it ends in .yaml, .yml or .json\n");
    assert_eq!(
        error("deep"),
        "error: deep: no file in it ends in .yaml, .yml or .json; use -R to read its subdirectories\n"
    );
}

#[test]
fn nothing_readable_is_unknown_and_never_100() {
    assert_snapshot!(run(&["analyze", "-f", "nowhere.yaml"]));
    let json = run(&["analyze", "-f", "nowhere.yaml", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(report["summary"]["score"].is_null() && report["summary"]["status"].is_null());
    assert_eq!(report["summary"]["partial"], true);
}

#[test]
fn nothing_evaluated_beside_something_unread_is_unknown_and_never_100() {
    let bad = b"apiVersion: v1\nkind: Service\n---\napiVersion: apps/v1\nkind: Deployment\n\
                spec: {template: {spec: {containers: [{name: c, image: 7}]}}}\n";
    let tree = directory(&[("bad.yaml", bad)]);
    assert_snapshot!(run_in(tree.path(), &["analyze", "-f", "bad.yaml"], ""));
}

#[test]
fn a_policy_that_can_not_be_followed_is_refused() {
    let head = "apiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\nmetadata: {name: strict}\n";
    let tree = directory(&[
        ("field.yaml", format!("{head}spec: {{forbidLatest: true}}\n").as_bytes()),
        ("type.yaml", format!("{head}spec:\n  maxRestartCount: -1\n").as_bytes()),
        ("rule.yaml", format!("{head}spec: {{rules: [{{id: latest}}]}}\n").as_bytes()),
        ("kind.yaml", GOOD.as_bytes()),
    ]);
    for file in ["field", "type", "rule", "kind", "nowhere"] {
        let path = format!("{file}.yaml");
        assert_snapshot!(
            format!("policy_{file}"),
            without_lists(
                &run_in(tree.path(), &["analyze", "-f", "kind.yaml", "--policy", &path], "").to_string()
            )
        );
    }
}

#[test]
fn an_invalid_selector_is_refused() {
    assert_snapshot!(run(&["analyze", "-f", "kube-tests", "-l", "app in web"]));
    for selector in ["a/b/c", "app=-x", "app=web,"] {
        for command in
            [&["analyze", "-f", "kube-tests", "-l", selector][..], &["list", "pods", "-l", selector]]
        {
            let run = run(command);
            assert_eq!((run.status, &*run.stdout), (2, ""), "{command:?}");
            assert!(run.stderr.starts_with("error: --selector: "), "{}", run.stderr);
        }
    }
}

#[test]
#[cfg(unix)]
fn a_pipe_with_a_path_is_read_as_a_file_is() {
    let mixed = format!("{GOOD}---\nkind: [Pod\n");
    let tree = directory(&[("mixed.yaml", mixed.as_bytes())]);
    let by_file = run_in(tree.path(), &["analyze", "-f", "mixed.yaml"], "");
    let by_pipe = run_in(tree.path(), &["analyze", "-f", "/dev/stdin"], &mixed);
    assert!(by_file.stdout.contains("Pod/good"), "{by_file}");
    assert_eq!(by_pipe.stdout, by_file.stdout);
    assert_eq!(by_pipe.stderr.replace("/dev/stdin", "mixed.yaml"), by_file.stderr);
}

#[test]
#[cfg(unix)]
fn a_closed_stderr_does_not_change_the_exit_status() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    // A note on stderr counts the objects left out in system namespaces.
    let system = GOOD.replace("metadata: {", "metadata: {namespace: kube-system, ");
    let tree = directory(&[("pod.yaml", system.as_bytes())]);
    let path = tree.path().join("pod.yaml");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kube-devops"));
    let command =
        command.args(["analyze", "-f"]).arg(path).stderr(writer).stdout(std::process::Stdio::null());
    assert_eq!(command.status().unwrap().code(), Some(0));
}
