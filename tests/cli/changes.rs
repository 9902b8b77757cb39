//! `--changed-since`, in real Git repositories.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::kustomizations::has_kubectl;
use super::{Run, directory, run_in, run_with};

fn git(tree: &Path, args: &[&str]) {
    let who = ["-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false"];
    let output =
        Command::new("git").args(who).args(args).current_dir(tree).env("HOME", tree).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a repository whose branch `main` has the files; the working directory is on the branch `change`.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    let tree = directory(&files);
    git(tree.path(), &["init", "-q", "-b", "main"]);
    commit(tree.path());
    git(tree.path(), &["checkout", "-q", "-b", "change"]);
    tree
}

fn commit(tree: &Path) {
    git(tree, &["add", "-A"]);
    git(tree, &["commit", "-q", "--allow-empty", "-m", "change"]);
}

fn pod(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: a}}]}}\n"
    )
}

fn analyze(tree: &Path, more: &[&str]) -> Run {
    let args = ["analyze", "-o", "json", "--rules", "latest-tag", "-R", "-f", ".", "--changed-since", "main"];
    run_in(tree, &[&args[..], more].concat(), "")
}

/// Returns the names of the objects with a violation, and the number of workloads in the report.
fn reported(run: &Run) -> (Vec<String>, u64) {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"));
    let violations = report["violations"].as_array().unwrap();
    let names = violations.iter().map(|violation| violation["name"].as_str().unwrap().to_owned()).collect();
    (names, report["summary"]["workloads"].as_u64().unwrap())
}

#[test]
fn only_what_has_changed_since_the_branches_parted_is_reported() {
    let files = ["a", "b", "c", "d", "e", "f"].map(|name| (format!("{name}.yaml"), pod(name)));
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let tree = repository(&files);
    let path = |name: &str| tree.path().join(name);
    fs::write(path("a.yaml"), pod("a-changed")).unwrap();
    fs::rename(path("b.yaml"), path("renamed.yaml")).unwrap();
    fs::remove_file(path("c.yaml")).unwrap();
    commit(tree.path());
    fs::write(path("d.yaml"), pod("d-not-committed")).unwrap();
    fs::write(path("new ü.yaml"), pod("added")).unwrap();
    git(tree.path(), &["add", "new ü.yaml"]);
    // Later changes of others on main are not a part of this change.
    git(tree.path(), &["stash", "-q", "-u"]);
    git(tree.path(), &["checkout", "-q", "main"]);
    fs::write(path("e.yaml"), pod("e-on-main")).unwrap();
    commit(tree.path());
    git(tree.path(), &["checkout", "-q", "change"]);
    git(tree.path(), &["stash", "pop", "-q"]);
    let run = analyze(tree.path(), &[]);
    let names = ["a-changed", "added", "b", "d-not-committed"];
    assert_eq!(reported(&run), (names.map(str::to_owned).to_vec(), 4), "{run}");
    fs::create_dir(path("below")).unwrap();
    let args = [
        "analyze",
        "-o",
        "json",
        "--rules",
        "latest-tag",
        "../a.yaml",
        "../f.yaml",
        "--changed-since",
        "main",
    ];
    let run = run_in(&path("below"), &args, "");
    assert_eq!(reported(&run), (vec!["a-changed".to_owned()], 1), "{run}");
}

#[test]
fn a_change_without_manifests_passes_every_gate() {
    let tree = repository(&[("a.yaml", &pod("a")), ("README.md", "")]);
    fs::write(tree.path().join("README.md"), "changed").unwrap();
    let run = analyze(tree.path(), &["--fail-on", "low"]);
    assert_eq!(run.status, 0, "{run}");
    let note = "note: nothing was evaluated: no pod or template that was asked for has changed since main\n";
    assert_eq!(run.stderr, note, "{run}");
}

#[test]
fn an_unchanged_file_that_cannot_be_read_is_only_a_note() {
    let tree = repository(&[("a.yaml", &pod("a")), ("broken.yaml", "kind: [\n")]);
    fs::write(tree.path().join("a.yaml"), pod("b")).unwrap();
    let run = analyze(tree.path(), &[]);
    assert_eq!((run.status, reported(&run).1), (0, 1), "{run}");
    assert!(run.stderr.starts_with("note: ./broken.yaml:"), "{run}");
    assert!(run.stderr.ends_with("(unchanged, so this is no error)\n"), "{run}");
    fs::write(tree.path().join("broken.yaml"), "kind: {\n").unwrap();
    assert_eq!(analyze(tree.path(), &[]).status, 2);
}

#[test]
fn an_unchanged_pod_still_stands_for_its_template() {
    let template = |image: &str| {
        format!(
            "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {{name: web}}\nspec: {{selector: {{}}, template: {{spec: \
             {{containers: [{{name: c, image: {image}}}]}}}}}}\n"
        )
    };
    let owned = pod("web-1").replace(
        "{name: web-1}",
        "{name: web-1, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}]}",
    );
    let tree = repository(&[("pod.yaml", &owned), ("template.yaml", &template("a"))]);
    fs::write(tree.path().join("template.yaml"), template("b")).unwrap();
    let run = analyze(tree.path(), &[]);
    assert_eq!(reported(&run), (Vec::new(), 0), "{run}");
}

#[test]
fn a_change_in_a_base_reports_the_overlays_on_it() {
    if !has_kubectl() {
        return;
    }
    let base = "resources: [pod.yaml]\n";
    let tree = repository(&[
        ("base/kustomization.yaml", base),
        ("base/pod.yaml", &pod("web")),
        ("base/other.txt", ""),
        ("prod/kustomization.yaml", "resources: [../base]\nnamePrefix: prod-\n"),
        ("alone/kustomization.yaml", "resources: [pod.yaml]\nnamePrefix: alone-\n"),
        ("alone/pod.yaml", &pod("web")),
    ]);
    assert_eq!(reported(&analyze(tree.path(), &[])), (Vec::new(), 0));
    fs::write(tree.path().join("base/pod.yaml"), pod("web2")).unwrap();
    assert_eq!(reported(&analyze(tree.path(), &[])), (vec!["prod-web2".to_owned()], 1));
    git(tree.path(), &["checkout", "-q", "."]);
    fs::remove_file(tree.path().join("base/other.txt")).unwrap();
    assert_eq!(reported(&analyze(tree.path(), &[])), (vec!["prod-web".to_owned()], 1));
}

/// Returns a directory of programs that has Git and no Helm.
#[cfg(unix)]
fn without_helm() -> tempfile::TempDir {
    let programs = directory(&[]);
    let found = Command::new("sh").args(["-c", "command -v git"]).output().unwrap();
    let git_path = String::from_utf8(found.stdout).unwrap();
    std::os::unix::fs::symlink(git_path.trim(), programs.path().join("git")).unwrap();
    programs
}

#[cfg(unix)]
#[test]
fn a_chart_without_helm_is_noted_only_if_it_has_changed() {
    let chart = ("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n");
    let tree = repository(&[chart, ("charts/web/templates/pod.yaml", &pod("web")), ("a.yaml", &pod("a"))]);
    let programs = without_helm();
    let args = ["analyze", "-o", "json", "-R", "-f", ".", "--changed-since", "main", "--fail-on", "critical"];
    let run = || run_with(tree.path(), &args, &[("PATH", programs.path().to_str().unwrap())]);
    let unchanged = run();
    assert_eq!((unchanged.status, unchanged.stderr.contains("helm")), (0, false), "{unchanged}");
    fs::write(tree.path().join("charts/web/values.yaml"), "a: 1\n").unwrap();
    git(tree.path(), &["add", "-A"]);
    let alone = run();
    assert_eq!((alone.status, alone.stderr.matches("note: ./charts/web: ").count()), (2, 1), "{alone}");
    fs::write(tree.path().join("a.yaml"), pod("b")).unwrap();
    let beside = run();
    assert_eq!((beside.status, beside.stderr.matches("note: ./charts/web: ").count()), (0, 1), "{beside}");
}

#[cfg(unix)]
#[test]
fn a_change_behind_a_link_is_a_change_of_the_chart() {
    let chart = ("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n");
    let tree = repository(&[chart, ("shared/pod.yaml", &pod("web"))]);
    fs::create_dir(tree.path().join("charts/web/templates")).unwrap();
    let link = tree.path().join("charts/web/templates/pod.yaml");
    std::os::unix::fs::symlink("../../../shared/pod.yaml", link).unwrap();
    commit(tree.path());
    let programs = without_helm();
    let args = ["analyze", "-R", "-f", ".", "--changed-since", "HEAD"];
    let run = || run_with(tree.path(), &args, &[("PATH", programs.path().to_str().unwrap())]);
    let noted = || run().stderr.contains("note: ./charts/web: ");
    assert!(!noted());
    fs::write(tree.path().join("shared/pod.yaml"), pod("other")).unwrap();
    assert!(noted());
}

#[test]
fn a_directory_outside_of_a_repository_and_an_unknown_commit_are_errors_that_say_what_to_do() {
    let outside = directory(&[("a.yaml", pod("a").as_bytes())]);
    let run = analyze(outside.path(), &[]);
    let place = outside.path().canonicalize().unwrap();
    let error = format!("error: --changed-since: {} is not in a Git repository\n", place.display());
    assert_eq!((run.status, run.stderr), (2, error));
    let tree = repository(&[("a.yaml", &pod("a"))]);
    for unknown in ["nowhere", "--output=x", "main:a.yaml"] {
        let flag = format!("--changed-since={unknown}");
        let run = run_in(tree.path(), &["analyze", "-f", "a.yaml", &flag], "");
        assert_eq!(run.status, 2, "{run}");
        let error = format!(
            "error: --changed-since: {unknown} is no commit of this repository: fetch it, or name another"
        );
        assert!(run.stderr.starts_with(&error), "{run}");
        assert!(!tree.path().join("x").exists());
    }
    git(tree.path(), &["checkout", "-q", "--orphan", "alone"]);
    fs::write(tree.path().join("b.yaml"), pod("b")).unwrap();
    commit(tree.path());
    let run = analyze(tree.path(), &[]);
    let error = "error: --changed-since: main and HEAD have no common commit: fetch more of the history";
    assert!(run.status == 2 && run.stderr.starts_with(error), "{run}");
}
