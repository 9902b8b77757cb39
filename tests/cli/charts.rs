//! Charts among the manifests, rendered by the real Helm in both of its major versions.

use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

use super::{Run, directory, run_with};

const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\n";

const DEPLOYMENT: &str = r#"{{- if .Values.enabled }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: c
        image: {{ required "set image" .Values.image }}
{{- end }}
"#;

/// Returns a directory for each Helm that was built, with a program `helm`. Without any, the test is skipped visibly.
fn helms() -> Vec<tempfile::TempDir> {
    let target = Path::new(env!("CARGO_BIN_EXE_kube-devops")).ancestors().nth(2).unwrap();
    let helms = ["helm3", "helm4"].map(|name| target.join("helm").join(name));
    let missing: Vec<_> = helms.iter().filter(|helm| !helm.is_file()).collect();
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let is_required = std::env::var_os("KUBE_DEVOPS_GO").is_some();
    assert!(!is_required || missing.is_empty(), "`make helm` builds what is missing: {missing:?}");
    if !missing.is_empty() {
        // `eprintln!` would show only if the test fails.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no chart was rendered: `make helm` builds {missing:?}");
        return Vec::new();
    }
    let linked = helms.iter().map(|helm| {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(helm, directory.path().join("helm")).unwrap();
        directory
    });
    linked.collect()
}

/// Runs the binary with only one directory in which programs are found.
fn run_beside(programs: &Path, tree: &Path, args: &[&str]) -> Run {
    run_with(tree, args, &[("PATH", programs.to_str().unwrap())])
}

/// Returns the violations as `name rule source:line`.
fn violations(run: &Run) -> Vec<String> {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"));
    let row = |violation: &Value| {
        ["name", "rule", "source"].map(|field| violation[field].as_str().unwrap_or_default()).join(" ")
    };
    report["violations"].as_array().unwrap().iter().map(row).collect()
}

/// A chart with a values file that sets its only required value.
fn chart(values: &str) -> tempfile::TempDir {
    directory(&[
        ("charts/web/Chart.yaml", CHART.as_bytes()),
        ("charts/web/values.yaml", values.as_bytes()),
        ("charts/web/templates/deploy.yaml", DEPLOYMENT.as_bytes()),
        ("charts/web/templates/tests/pod.yaml", b"kind: Pod\napiVersion: v1\nmetadata:\n  name: t\n  annotations: {helm.sh/hook: test}\nspec: {containers: [{name: t, image: t}]}\n"),
        ("raw.yaml", b"apiVersion: v1\nkind: Pod\nmetadata: {name: raw}\nspec: {containers: [{name: c, image: 'a:latest'}]}\n"),
    ])
}

const ANALYZE: [&str; 6] = ["analyze", "-o", "json", "--rules", "latest-tag", "-f"];

#[test]
fn a_chart_is_rendered_once_and_its_findings_lead_to_the_template() {
    let tree = chart("enabled: true\nimage: nginx\n");
    for helm in helms() {
        let run = run_beside(
            helm.path(),
            tree.path(),
            &["analyze", "-o", "json", "--rules", "latest-tag", "-R", "-f", "."],
        );
        let template = "./charts/web/templates/deploy.yaml:14";
        assert_eq!(
            violations(&run),
            ["raw latest-tag ./raw.yaml:4".to_owned(), format!("web latest-tag {template}"),],
            "{run}"
        );
        assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run}");
        let run =
            run_beside(helm.path(), tree.path(), &[&ANALYZE[..], &["charts/web", "-n", "prod"]].concat());
        assert_eq!(violations(&run), ["web latest-tag charts/web/templates/deploy.yaml:14"], "{run}");
        assert!(run.stdout.contains(r#""namespace": "prod""#), "{run}");
    }
}

#[test]
fn values_come_from_files_and_flags() {
    let tree = chart("enabled: true\n");
    std::fs::write(tree.path().join("a, b.yaml"), "image: 'nginx:1'\n").unwrap();
    for helm in helms() {
        let run = |more: &[&str]| {
            run_beside(helm.path(), tree.path(), &[&ANALYZE[..], &["charts/web"], more].concat())
        };
        let refused = run(&[]);
        assert_eq!(refused.status, 2, "{refused}");
        assert!(refused.stderr.contains("error: charts/web: helm: execution error"), "{refused}");
        assert!(refused.stderr.contains("set image"), "{refused}");
        assert_eq!(run(&["--helm-values", "a, b.yaml"]).status, 0);
        let set = run(&["--helm-values", "a, b.yaml", "--helm-set", "image=nginx:latest"]);
        assert_eq!(violations(&set), ["web latest-tag charts/web/templates/deploy.yaml:14"], "{set}");
        let nothing = run(&["--helm-set", "enabled=false"]);
        assert_eq!(nothing.status, 0, "{nothing}");
        assert!(nothing.stderr.contains("note: charts/web: no object is rendered from it"), "{nothing}");
        let remote = run(&["--helm-values", "https://example.com/values.yaml"]);
        assert_eq!(remote.status, 2, "{remote}");
        assert!(remote.stderr.contains("values are read from local files only"), "{remote}");
    }
}

#[test]
fn each_values_file_for_ci_makes_a_variant() {
    let tree = chart("enabled: true\n");
    let ci = tree.path().join("charts/web/ci");
    std::fs::create_dir(&ci).unwrap();
    std::fs::write(ci.join("small-values.yaml"), "image: nginx:latest\n").unwrap();
    std::fs::write(ci.join("big-values.yaml"), "image: nginx\n").unwrap();
    std::fs::write(ci.join("notes.yaml"), "not: values\n").unwrap();
    std::fs::write(
        tree.path().join("charts/web/templates/same.yaml"),
        "kind: Pod\napiVersion: v1\nmetadata: {name: same}\nspec: {containers: [{name: c, image: a}]}\n",
    )
    .unwrap();
    for helm in helms() {
        let run = run_beside(helm.path(), tree.path(), &[&ANALYZE[..], &["charts/web"]].concat());
        let found = [
            "same latest-tag charts/web/templates/same.yaml:4",
            "web-big latest-tag charts/web/templates/deploy.yaml:14",
            "web-small latest-tag charts/web/templates/deploy.yaml:14",
        ];
        assert_eq!(violations(&run), found, "{run}");
        let broken = ci.join("broken-values.yaml");
        std::fs::write(&broken, "image:\n").unwrap();
        let run = run_beside(helm.path(), tree.path(), &[&ANALYZE[..], &["charts/web"]].concat());
        assert!(run.stderr.contains("error: charts/web (ci/broken-values.yaml): helm: "), "{run}");
        assert_eq!((run.status, violations(&run).len()), (2, 3), "{run}");
        std::fs::remove_file(broken).unwrap();
    }
}

#[test]
fn missing_dependencies_are_an_error_and_present_ones_are_rendered() {
    let tree = chart("enabled: true\nimage: 'nginx:1'\n");
    let chart = tree.path().join("charts/web");
    let dependency = "dependencies: [{name: db, version: 1.0.0, repository: 'https://example.com'}]\n";
    std::fs::write(chart.join("Chart.yaml"), format!("{CHART}{dependency}")).unwrap();
    for helm in helms() {
        let run = run_beside(helm.path(), tree.path(), &[&ANALYZE[..], &["charts/web"]].concat());
        assert_eq!(run.status, 2, "{run}");
        let advice = "the chart's dependencies are not in its directory charts: db; run `helm dependency build charts/web`";
        assert!(run.stderr.contains(advice), "{run}");
        let templates = chart.join("charts/db/templates");
        std::fs::create_dir_all(&templates).unwrap();
        std::fs::write(chart.join("charts/db/Chart.yaml"), "apiVersion: v2\nname: db\nversion: 1.0.0\n")
            .unwrap();
        let pod = "# first\nkind: Pod\napiVersion: v1\nmetadata: {name: db}\nspec: {containers: [{name: c, image: a}]}\n";
        std::fs::write(templates.join("pod.yaml"), pod).unwrap();
        let run = run_beside(helm.path(), tree.path(), &[&ANALYZE[..], &["charts/web"]].concat());
        assert_eq!(violations(&run), ["db latest-tag charts/web/charts/db/templates/pod.yaml:5"], "{run}");
        std::fs::remove_dir_all(chart.join("charts")).unwrap();
    }
}

#[test]
fn an_object_that_cannot_be_read_leads_to_its_template() {
    let tree = chart("enabled: true\nimage: 'nginx:1'\n");
    let broken = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: broken}\nspec: {template: {spec: {containers: 7}}}\n";
    std::fs::write(tree.path().join("charts/web/templates/broken.yaml"), broken).unwrap();
    for helm in helms() {
        let run = run_beside(helm.path(), tree.path(), &[&ANALYZE[..], &["charts/web"]].concat());
        assert_eq!(run.status, 2, "{run}");
        assert!(
            run.stderr.contains("error: charts/web/templates/broken.yaml:1: rendered from charts/web: "),
            "{run}"
        );
    }
}

#[test]
fn no_plugin_runs() {
    use std::os::unix::fs::PermissionsExt as _;
    let tree = chart("enabled: true\nimage: 'nginx:1'\n");
    // A plugin in the user's directories that would fetch values and process the result.
    let plugin = tree.path().join("plugins/spy");
    std::fs::create_dir_all(&plugin).unwrap();
    std::fs::write(plugin.join("plugin.yaml"), "name: spy\nversion: 1.0.0\nusage: u\ndescription: d\ncommand: $HELM_PLUGIN_DIR/spy\nhooks: {install: $HELM_PLUGIN_DIR/spy}\ndownloaders: [{command: spy, protocols: [spy]}]\n").unwrap();
    std::fs::write(plugin.join("spy"), format!("#!/bin/sh\n/usr/bin/touch {}/ran\n", tree.path().display()))
        .unwrap();
    std::fs::set_permissions(plugin.join("spy"), std::fs::Permissions::from_mode(0o755)).unwrap();
    for helm in helms() {
        let plugins = tree.path().join("plugins");
        let variables =
            [("PATH", helm.path().to_str().unwrap()), ("HELM_PLUGINS", plugins.to_str().unwrap())];
        let run = run_with(tree.path(), &[&ANALYZE[..], &["charts/web"]].concat(), &variables);
        assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run}");
        let run = run_with(
            tree.path(),
            &[&ANALYZE[..], &["charts/web", "--helm-values", "spy://a"]].concat(),
            &variables,
        );
        assert_eq!(run.status, 2, "{run}");
        assert!(!tree.path().join("ran").exists());
    }
}

#[test]
fn values_without_a_chart_are_refused() {
    let tree = chart("");
    for args in
        [&["raw.yaml", "--helm-set", "a=b"][..], &["charts/web", "--helm-set", "a=b", "--render", "never"]]
    {
        let run = run_beside(&tree.path().join("none"), tree.path(), &[&ANALYZE[..], args].concat());
        assert_eq!(run.status, 2, "{run}");
        assert!(run.stderr.contains("no directory with a Chart.yaml is rendered"), "{run}");
    }
}

#[test]
fn without_helm_a_note_says_how_to_render_a_chart_and_the_rest_is_evaluated() {
    let tree = chart("enabled: true\nimage: nginx\n");
    let programs = tree.path().join("none");
    let run = |args: &[&str]| run_beside(&programs, tree.path(), &[&ANALYZE[..], args].concat());
    let note = "note: ./charts/web: the chart was not evaluated, because helm is not installed: install it, or run \
                `helm template ./charts/web | kube-devops analyze -f -` where it is\n";
    let rest = run(&[".", "-R"]);
    assert_eq!((rest.status, rest.stderr.as_str()), (0, note), "{rest}");
    assert_eq!(violations(&rest), ["raw latest-tag ./raw.yaml:4"], "{rest}");
    let report: Value = serde_json::from_str(&rest.stdout).unwrap();
    assert_eq!(report["summary"]["partial"], true, "{rest}");
    assert_eq!(report["unrendered"][0]["source"], "./charts/web", "{rest}");
    // The thresholds hold for what was evaluated.
    assert_eq!(run(&[".", "-R", "--fail-on", "high"]).status, 1);
    assert_eq!(run(&[".", "-R", "--fail-on", "critical"]).status, 0);
    let never = run(&[".", "-R", "--render", "never"]);
    assert!(
        never.stderr.contains("charts/web/templates/deploy.yaml"),
        "the templates are read as they are: {never}"
    );
}

#[test]
fn without_helm_a_chart_alone_is_no_success() {
    let tree = chart("enabled: true\nimage: nginx\n");
    std::fs::create_dir(tree.path().join("charts/web/ci")).unwrap();
    for variant in ["a", "b"] {
        std::fs::write(tree.path().join(format!("charts/web/ci/{variant}-values.yaml")), "").unwrap();
    }
    let none = tree.path().join("none");
    let run = |args: &[&str]| {
        run_beside(&none, tree.path(), &[&["analyze", "-f", "charts/web", "-o", "json"], args].concat())
    };
    for gate in [&[][..], &["--fail-on", "high"], &["--fail-under", "1", "--allow-empty"]] {
        let alone = run(gate);
        assert_eq!((alone.status, alone.stderr.matches("note: charts/web: ").count()), (2, 1), "{alone}");
        let report: Value = serde_json::from_str(&alone.stdout).unwrap();
        assert_eq!(report["summary"]["score"], Value::Null, "{alone}");
    }
    let baseline =
        run_beside(&none, tree.path(), &["analyze", "-R", "-f", ".", "--write-baseline", "known.json"]);
    assert_eq!(baseline.status, 2, "{baseline}");
    assert!(
        baseline.stderr.contains("known.json was not written: findings in what could not be"),
        "{baseline}"
    );
    assert!(!tree.path().join("known.json").exists());
}

#[test]
fn a_comparison_with_a_chart_that_was_not_rendered_fails_with_the_note() {
    let tree = chart("enabled: true\nimage: nginx\n");
    let run = run_beside(
        &tree.path().join("none"),
        tree.path(),
        &["analyze", "--compare", "raw.yaml", "charts/web"],
    );
    assert_eq!(
        (run.status, run.stderr.starts_with("note: charts/web: the chart was not")),
        (2, true),
        "{run}"
    );
}

#[test]
fn every_format_shows_a_chart_that_was_not_rendered() {
    let tree = chart("enabled: true\nimage: nginx\n");
    for format in ["summary", "sarif", "junit", "github", "gitlab", "markdown", "html"] {
        let args = ["analyze", "-R", "-f", ".", "-o", format];
        let run = run_beside(&tree.path().join("none"), tree.path(), &args);
        insta::assert_snapshot!(format!("unrendered_{format}"), run);
    }
}

#[test]
fn an_ignored_template_has_no_findings_and_an_ignored_values_file_makes_no_variant() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\n\
               spec: {containers: [{name: c, image: x, env: [{name: A, value: '{{ .Values.a }}'}]}]}\n";
    let (kept, ignored) = (pod.replace("NAME", "kept"), pod.replace("NAME", "ignored"));
    let tree = directory(&[
        (".kube-devops.yaml", b"ignore: [/web/templates/ignored.yaml, /web/ci/]\n"),
        ("web/Chart.yaml", CHART.as_bytes()),
        ("web/ci/a-values.yaml", b"a: 1\n"),
        ("web/ci/b-values.yaml", b"a: 2\n"),
        ("web/templates/kept.yaml", kept.as_bytes()),
        ("web/templates/ignored.yaml", ignored.as_bytes()),
    ]);
    for helm in helms() {
        let run = run_beside(helm.path(), tree.path(), &["analyze", "web", "-o", "json"]);
        let found = violations(&run);
        assert!(!found.is_empty() && found.iter().all(|found| found.starts_with("kept ")), "{run}");
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(report["summary"]["pods"], 1, "{run}");
    }
}

#[test]
fn a_schema_elsewhere_is_not_downloaded() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let schema = format!(r#"{{"$ref":"http://{}/schema.json"}}"#, server.local_addr().unwrap());
    let tree = directory(&[
        ("web/Chart.yaml", CHART.as_bytes()),
        ("web/values.schema.json", schema.as_bytes()),
        ("web/values.yaml", b"{enabled: true, image: x}\n"),
        ("web/templates/deployment.yaml", DEPLOYMENT.as_bytes()),
    ]);
    for helm in helms() {
        let run = run_beside(helm.path(), tree.path(), &["analyze", "web", "-o", "json"]);
        assert_eq!((run.status, violations(&run).is_empty()), (0, false), "{run}");
        assert!(server.accept().is_err(), "Helm connected");
    }
}
