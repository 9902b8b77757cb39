//! Kustomizations among the manifests, rendered by the kubectl that is installed.

use std::io::Write as _;
use std::process::Command;

use serde_json::Value;

use super::{Run, directory, run_in, run_with};

const DEPLOYMENT: &str = "# the server\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  \
                          selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
                          spec: {containers: [{name: c, image: nginx}]}\n";

/// Returns true if kubectl is installed. Without it, the test is skipped visibly.
pub(super) fn has_kubectl() -> bool {
    let found = Command::new("kubectl").args(["version", "--client"]).output().is_ok();
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let is_required = std::env::var_os("KUBE_DEVOPS_GO").is_some();
    assert!(found || !is_required, "kubectl is missing, and the tests of kustomizations need it");
    if !found {
        // `eprintln!` would show only if the test fails.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no kustomization was rendered: kubectl is missing");
    }
    found
}

/// A base, two overlays of it, and a component.
fn tree() -> tempfile::TempDir {
    directory(&[
        ("base/kustomization.yaml", b"resources: [deploy.yaml]\n"),
        ("base/deploy.yaml", DEPLOYMENT.as_bytes()),
        ("overlays/dev/kustomization.yml", b"resources: [../../base]\nnamePrefix: dev-\n"),
        (
            "overlays/prod/kustomization.yaml",
            b"resources: [../../base]\nnamePrefix: prod-\ncomponents: [../../tag]\npatches: [{path: p.yaml}]\n",
        ),
        (
            "overlays/prod/p.yaml",
            b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n",
        ),
        (
            "tag/kustomization.yaml",
            b"apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nimages: [{name: nginx, newTag: '1.29'}]\n",
        ),
        (
            "raw.yaml",
            b"apiVersion: v1\nkind: Pod\nmetadata: {name: raw}\nspec: {containers: [{name: c, image: 'a:latest'}]}\n",
        ),
    ])
}

/// Returns the violations as `name source:line`.
fn violations(run: &Run) -> Vec<String> {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"));
    let row = |violation: &Value| {
        ["name", "source"].map(|field| violation[field].as_str().unwrap_or_default()).join(" ")
    };
    report["violations"].as_array().unwrap().iter().map(row).collect()
}

const ANALYZE: [&str; 6] = ["analyze", "-o", "json", "--rules", "latest-tag", "-f"];

#[test]
fn overlays_are_rendered_and_their_bases_are_not_evaluated_beside_them() {
    if !has_kubectl() {
        return;
    }
    let tree = tree();
    let run = run_in(tree.path(), &[&ANALYZE[..], &[".", "-R"]].concat(), "");
    assert_eq!(violations(&run), ["dev-web base/deploy.yaml:3", "raw ./raw.yaml:4"], "{run}");
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run}");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["summary"]["workloads"], 3, "{run}");
    let run = run_in(tree.path(), &[&ANALYZE[..], &["base"]].concat(), "");
    assert_eq!(violations(&run), ["web base/deploy.yaml:3"], "{run}");
    let absolute = tree.path().join("overlays/dev");
    let run = run_in(tree.path(), &[&ANALYZE[..], &[absolute.to_str().unwrap()]].concat(), "");
    let root = tree.path().canonicalize().unwrap();
    assert_eq!(violations(&run), [format!("dev-web {}/base/deploy.yaml:3", root.display())], "{run}");
}

#[test]
fn nothing_is_downloaded_and_no_function_runs() {
    if !has_kubectl() {
        return;
    }
    let tree = tree();
    let write = |text: &str| std::fs::write(tree.path().join("base/kustomization.yaml"), text).unwrap();
    let run = || run_in(tree.path(), &[&ANALYZE[..], &["overlays/dev"]].concat(), "");
    write("resources: [deploy.yaml, 'https://example.com/a.yaml']\n");
    let refused = run();
    assert_eq!(refused.status, 2, "{refused}");
    assert!(
        refused.stderr.contains("https://example.com/a.yaml, which is no local file or directory"),
        "{refused}"
    );
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let address = server.local_addr().unwrap();
    for entry in [
        format!("resources: [deploy.yaml, 'HTTP://{address}/a.yaml']\n"),
        format!("resources: [deploy.yaml]\npatches: [{{path: 'http://{address}/a.yaml?b=c'}}]\n"),
    ] {
        write(&entry);
        let refused = run();
        assert_eq!(
            (refused.status, refused.stderr.contains("nothing is downloaded")),
            (2, true),
            "{refused}"
        );
    }
    assert!(server.accept().is_err(), "a program connected");
    let ran = tree.path().join("ran");
    let function = "apiVersion: a/v1\nkind: Spy\nmetadata:\n  name: spy\n  annotations:\n    config.kubernetes.io/function: |\n      exec: {path: ./spy}\n";
    std::fs::write(tree.path().join("base/spy.yaml"), function).unwrap();
    let spy = tree.path().join("base/spy");
    std::fs::write(&spy, format!("#!/bin/sh\ntouch {}\ncat\n", ran.display())).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&spy, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    write("resources: [deploy.yaml]\ntransformers: [spy.yaml]\n");
    let refused = run();
    assert_eq!(refused.status, 2, "{refused}");
    assert!(refused.stderr.contains("error: overlays/dev: kubectl: "), "{refused}");
    assert!(!ran.exists());
}

#[test]
fn a_broken_kustomization_is_an_error_of_kustomize_and_the_rest_is_evaluated() {
    if !has_kubectl() {
        return;
    }
    let tree = tree();
    std::fs::write(
        tree.path().join("overlays/dev/kustomization.yml"),
        "resources: [../../base]\nnonsense: 1\n",
    )
    .unwrap();
    let run = run_in(tree.path(), &[&ANALYZE[..], &[".", "-R"]].concat(), "");
    assert!(run.stdout.contains(r#""source": "./raw.yaml:4""#), "{run}");
    assert!(run.stderr.starts_with("error: ./overlays/dev: kubectl: "), "{run}");
    assert!(run.stderr.contains(r#"unknown field "nonsense""#), "{run}");
    assert_eq!(run.status, 2, "{run}");
}

#[test]
fn without_a_program_a_note_says_how_to_render_each_kustomization() {
    let tree = tree();
    let path = [("PATH", "/nonexistent")];
    let run = run_with(tree.path(), &[&ANALYZE[..], &[".", "-R"]].concat(), &path);
    assert_eq!(violations(&run), ["raw ./raw.yaml:4"], "{run}");
    let notes = ["dev", "prod"].map(|overlay| {
        format!(
            "note: ./overlays/{overlay}: the kustomization was not evaluated, because neither kustomize nor kubectl is \
             installed: install one, or run `kubectl kustomize ./overlays/{overlay} | kube-devops analyze -f -` where one \
             is; --render never reads the files as they are\n"
        )
    });
    assert_eq!((run.status, run.stderr.as_str()), (0, &*notes.concat()), "{run}");
    let alone = run_with(tree.path(), &[&ANALYZE[..], &["overlays/dev"]].concat(), &path);
    assert_eq!(alone.status, 2, "{alone}");
    let never = run_with(tree.path(), &[&ANALYZE[..], &[".", "-R", "--render", "never"]].concat(), &path);
    assert_eq!(violations(&never), ["raw ./raw.yaml:4", "web ./base/deploy.yaml:9"], "{never}");
}

#[cfg(unix)]
#[test]
fn kustomize_is_preferred_to_kubectl() {
    let tree = tree();
    let programs = tree.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    let script = "#!/bin/sh\n[ \"$1\" = build ] || exit 1\necho 'kind: Pod\napiVersion: v1\nmetadata: {name: by-kustomize}\nspec: {containers: [{name: c, image: a}]}'\n";
    std::fs::write(programs.join("kustomize"), script).unwrap();
    std::fs::set_permissions(programs.join("kustomize"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let path = [("PATH", programs.to_str().unwrap())];
    let run = run_with(tree.path(), &[&ANALYZE[..], &["overlays/dev"]].concat(), &path);
    assert_eq!(violations(&run), ["by-kustomize overlays/dev/kustomization.yml:1"], "{run}");
}
