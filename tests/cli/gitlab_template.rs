//! The template for GitLab: its example gives the inputs, and its script runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::directory;
use super::github_action::example;

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: nginx}]}\n";

/// Returns the job that the template makes of the example, with some inputs replaced.
fn job(inputs: &[(&str, &str)]) -> Value {
    let template = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/ci/gitlab.yml")).unwrap();
    let (spec, job) = template.split_once("\n---\n").unwrap();
    let spec: Value = yaml_serde::from_str(spec).unwrap();
    let include: Value = yaml_serde::from_str(&example(".gitlab-ci.yml")).unwrap();
    let include = &include["include"][0];
    assert_eq!(include["file"], "deploy/ci/gitlab.yml");
    let mut values: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, input) in spec["spec"]["inputs"].as_object().unwrap() {
        values.extend(input["default"].as_str().map(|default| (name.as_str(), default)));
    }
    for (name, value) in include["inputs"].as_object().unwrap() {
        assert!(spec["spec"]["inputs"].get(name).is_some(), "the template has no input {name}");
        values.insert(name, value.as_str().unwrap());
    }
    values.extend(inputs.iter().copied());
    let job = values.iter().fold(job.to_owned(), |job, (name, value)| {
        job.replace(&format!("$[[ inputs.{name} ]]"), &format!("{value:?}"))
    });
    assert!(!job.contains("$[["), "an input has no value: {job}");
    yaml_serde::from_str::<Value>(&job).unwrap()["kube-devops"].clone()
}

/// Runs the script of a job as GitLab does, in a shell that stops at the first error.
fn run(job: &Value, tree: &Path, base: Option<&str>) -> Output {
    let lines: Vec<_> = job["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let mut command = Command::new("sh");
    command.args(["-e", "-c", &lines.join("\n")]).current_dir(tree);
    for (name, value) in job["variables"].as_object().unwrap() {
        command.env(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    command.env_remove("CI_MERGE_REQUEST_DIFF_BASE_SHA");
    if let Some(base) = base {
        command.env("CI_MERGE_REQUEST_DIFF_BASE_SHA", base);
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_kube-devops")).parent().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [binary.to_owned()].into_iter().chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(path).unwrap()).output().unwrap()
}

#[test]
fn the_job_writes_the_reports_that_its_artifacts_name_and_fails_on_a_violation() {
    let tree = directory(&[("deploy/my app/pod.yaml", POD.as_bytes())]);
    let job = job(&[("path", "deploy/my app"), ("args", "--rules latest-tag")]);
    let output = run(&job, tree.path(), None);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let reports = &job["artifacts"]["reports"];
    let quality = fs::read_to_string(tree.path().join(reports["codequality"].as_str().unwrap())).unwrap();
    let quality: Value = serde_json::from_str(&quality).unwrap();
    assert_eq!(quality[0]["check_name"], "latest-tag");
    let tests = fs::read_to_string(tree.path().join(reports["junit"].as_str().unwrap())).unwrap();
    assert!(tests.contains("<failure"), "{tests}");
}

#[test]
fn a_merge_request_reports_only_its_changes() {
    let tree = directory(&[("deploy/pod.yaml", POD.as_bytes())]);
    for args in [&["init", "-q"][..], &["add", "."], &["commit", "-q", "-m", "first"]] {
        let who = ["-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false"];
        assert!(Command::new("git").args(who).args(args).current_dir(&tree).status().unwrap().success());
    }
    let output = run(&job(&[]), tree.path(), Some("HEAD"));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(run(&job(&[]), tree.path(), None).status.code(), Some(1));
}
