//! The formats of a report for other programs, and several outputs of one run.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use junit_parser::TestStatus;
use serde_json::Value;
use tempfile::TempDir;

use super::{Run, run, run_in};

/// A workload with every text that a format has to escape, a second one in another file, and a broken document.
const HOSTILE: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main@team, image: \"x/<script>|`a`*b*%0A,&amp;\\u001b[31m:latest\"}
      - {name: side, image: sidecar, livenessProbe: {}, readinessProbe: {}}
---
apiVersion: v1
kind: Pod
metadata: {name: broken}
spec: {containers: 3}
";
const CLEAN: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {containers: [{name: main, image: 'x:1', livenessProbe: {}, readinessProbe: {}}]}
";
/// A finding in a pod's status, a container, a workload, a type, an object of another kind, an object of the cluster, and
/// between two objects.
const EVERY_KIND: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: slow, namespace: shop}
spec:
  containers: [{name: c, image: 'x:1', livenessProbe: {}, readinessProbe: {}, securityContext: {privileged: true}}]
status: {phase: Pending, containerStatuses: [{name: c, restartCount: 9}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers: [{name: init, image: x}]
      containers: [{name: c, image: 'x:1', livenessProbe: {}, readinessProbe: {}}]
---
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: web, namespace: shop}
spec: {rules: [{host: example.com}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: wide}
rules: [{apiGroups: [''], resources: ['*'], verbs: [get]}]
---
apiVersion: v1
kind: Service
metadata: {name: gone, namespace: shop}
spec:
  ports: [{port: 80}]
  selector: {app: gone}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
";
const FORMATS: [&str; 6] = ["sarif", "junit", "github", "gitlab", "markdown", "html"];

fn directory(text: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("a b.yaml"), text).unwrap();
    directory
}

fn analyze(text: &str, format: &str) -> Run {
    run_in(directory(text).path(), &["analyze", "-f", "a b.yaml", "-o", format], "")
}

#[test]
fn every_format_shows_violations_and_errors() {
    for format in FORMATS {
        assert_snapshot!(format!("hostile_{format}"), analyze(HOSTILE, format));
    }
}

#[test]
fn every_format_shows_every_kind_of_finding() {
    let directory = directory(EVERY_KIND);
    let rules =
        "customRules:\n- {id: own, match: {kinds: [Deployment]}, expression: 'false', message: not so}\n";
    fs::write(directory.path().join("rules.yaml"), rules).unwrap();
    // By their ids, so that a new rule changes nothing here.
    let ids = "default,dangling-service,deprecated-api,missing-network-policy,missing-resources,plaintext-ingress,\
               pod-exec-access,privileged-container,unmanaged-pod,wildcard-rule";
    for format in FORMATS.into_iter().chain(["summary", "table", "wide", "json", "yaml"]) {
        let args = [
            "analyze",
            "-f",
            "a b.yaml",
            "--complete",
            "--rules",
            ids,
            "--rules-file",
            "rules.yaml",
            "-o",
            format,
        ];
        let run = run_in(directory.path(), &args, "");
        // The documentation of the rules is not what is tested here.
        let text = run.to_string();
        let text = text.split_inclusive("\"results\":[").last().unwrap();
        assert_snapshot!(format!("every_kind_{format}"), text);
    }
}

#[test]
fn every_format_shows_a_clean_input() {
    for format in FORMATS {
        assert_snapshot!(format!("clean_{format}"), analyze(CLEAN, format));
    }
}

#[test]
fn every_format_shows_that_nothing_could_be_read() {
    for format in FORMATS {
        assert_snapshot!(format!("unknown_{format}"), analyze("a: [", format));
    }
}

#[test]
fn every_format_shows_exemptions_and_the_difference_to_a_baseline() {
    let directory = directory(HOSTILE.split("---").next().unwrap());
    let config = "baseline: known.json\nexemptions:\n- {paths: ['*.yaml'], rules: [latest-tag], reason: <old>}\n\
                  - {paths: ['*.yaml'], reason: moved, expires: 2020-01-31}\n";
    let known = r#"{"apiVersion": "kube-devops/v1", "kind": "Baseline", "findings": [
        {"namespace": "shop", "kind": "Deployment", "name": "web", "container": "main@team", "rule": "missing-liveness"},
        {"namespace": "shop", "kind": "Deployment", "name": "web", "container": "gone", "rule": "missing-liveness"}]}"#;
    fs::write(directory.path().join(".kube-devops.yaml"), config).unwrap();
    fs::write(directory.path().join("known.json"), known).unwrap();
    for format in FORMATS {
        let run = run_in(directory.path(), &["analyze", "-f", "a b.yaml", "-o", format], "");
        assert_snapshot!(format!("exempt_{format}"), run);
    }
}

#[test]
fn sarif_is_valid_and_names_rules_places_and_unread_files() {
    let output = analyze(HOSTILE, "sarif").stdout;
    let sarif: serde_sarif::sarif::Sarif = serde_json::from_str(&output).unwrap();
    let run = &sarif.runs[0];
    let results = run.results.as_ref().unwrap();
    assert_eq!(results.len(), 4);
    let rules = run.tool.driver.rules.as_ref().unwrap();
    for result in results {
        let index = usize::try_from(result.rule_index.unwrap()).unwrap();
        assert_eq!(result.rule_id.as_deref(), Some(rules[index].id.as_str()));
        let place = result.locations.as_ref().unwrap()[0].physical_location.as_ref().unwrap();
        let artifact = place.artifact_location.as_ref().unwrap();
        assert_eq!(
            (artifact.uri.as_deref(), artifact.uri_base_id.as_deref()),
            (Some("a%20b.yaml"), Some("%SRCROOT%"))
        );
    }
    let invocation = &run.invocations.as_ref().unwrap()[0];
    assert!(!invocation.execution_successful);
    assert_eq!(invocation.tool_execution_notifications.as_ref().unwrap().len(), 1);
}

#[test]
fn junit_counts_failures_errors_and_rules_without_violations() {
    let statuses = |text: &str| {
        let report = junit_parser::from_reader(analyze(text, "junit").stdout.as_bytes()).unwrap();
        let cases = &report.suites[0].cases;
        let count = |is: fn(&TestStatus) -> bool| cases.iter().filter(|case| is(&case.status)).count() as u64;
        let errors = count(|status| matches!(status, TestStatus::Error(_)));
        let failures = count(|status| matches!(status, TestStatus::Failure(_)));
        assert_eq!((report.tests, report.errors, report.failures), (cases.len() as u64, errors, failures));
        (errors, failures, count(TestStatus::is_success))
    };
    assert_eq!(statuses(HOSTILE), (1, 4, 2));
    assert_eq!(statuses(CLEAN), (0, 0, 5));
}

/// Returns the fingerprints of a report in the format of GitLab.
fn fingerprints(directory: &Path, file: &str) -> Vec<String> {
    let issues: Vec<Value> =
        serde_json::from_str(&run_in(directory, &["analyze", "-f", file, "-o", "gitlab"], "").stdout)
            .unwrap();
    issues.iter().map(|issue| issue["fingerprint"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn fingerprints_are_unique_and_survive_moved_lines_and_renamed_files() {
    let directory = directory(HOSTILE);
    let before = fingerprints(directory.path(), "a b.yaml");
    let unique: std::collections::BTreeSet<_> = before.iter().collect();
    assert_eq!((before.len(), unique.len()), (4, 4));
    fs::write(directory.path().join("c.yaml"), format!("# a comment\n\n{HOSTILE}")).unwrap();
    assert_eq!(fingerprints(directory.path(), "c.yaml"), before);
    // Two pods of one workload have the same identity.
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: P, ownerReferences: [{apiVersion: apps/v1, kind: \
               StatefulSet, name: db, uid: u, controller: true}]}\nspec: {containers: [{name: c, image: x}]}\n---\n";
    let pods = pod.replace("name: P", "name: db-0") + &pod.replace("name: P", "name: db-1");
    fs::write(directory.path().join("d.yaml"), pods).unwrap();
    let of_pods = fingerprints(directory.path(), "d.yaml");
    let unique: std::collections::BTreeSet<_> = of_pods.iter().collect();
    assert_eq!((of_pods.len(), unique.len()), (6, 6));
}

#[test]
fn a_large_report_is_cut_between_rows_with_a_count() {
    let pod = |number: usize| {
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"pod-{number}\"}},\
                 \"spec\":{{\"containers\":[{{\"name\":\"c\",\"image\":\"x\"}}]}}}}\n"
        )
    };
    let pods: String = (0..9_000).map(pod).collect();
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("pods.json"), pods).unwrap();
    let output =
        |format: &str| run_in(directory.path(), &["analyze", "-f", "pods.json", "-o", format], "").stdout;

    let markdown = output("markdown");
    assert!(markdown.len() < 65_536, "{}", markdown.len());
    let rows =
        markdown.lines().filter(|line| line.starts_with("| high") || line.starts_with("| medium")).count();
    assert!(markdown.ends_with(&format!("\nAnd {} more.\n", 27_000 - rows)), "{rows} rows");

    let sarif: Value = serde_json::from_str(&output("sarif")).unwrap();
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert!(results.len() <= 25_000 && results.len() > 10_000, "{}", results.len());
    assert_eq!(results[0]["level"], "error", "the worst come first");
    let notification =
        run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"].as_str().unwrap();
    assert!(
        notification.starts_with(&format!("{} less severe results", 27_000 - results.len())),
        "{notification}"
    );

    let html = output("html");
    assert!(html.contains("The worst 10000 of 27000 violations."));
    assert_eq!(html.matches("<tr><td class=\"high\">").count(), 9_000);
}

#[test]
fn a_report_with_very_many_notes_stays_within_the_limits() {
    let directory = TempDir::new().unwrap();
    // Each Namespace has an exemption of its own, and each other document is broken.
    let pod = |number: usize| {
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: n{number}, annotations: {{devops.stochastic.io/exempt: \
             'latest-tag,missing-liveness,missing-readiness', devops.stochastic.io/exempt-reason: {}}}}}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: n{number}}}\nspec: {{containers: [{{name: c, image: \
             x}}]}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: broken}}\nspec: {{containers: 3}}\n---\n",
            "because ".repeat(10)
        )
    };
    let pods: String = (0..3_000).map(pod).collect();
    fs::write(directory.path().join("pods.yaml"), pods).unwrap();
    let output =
        |format: &str| run_in(directory.path(), &["analyze", "-f", "pods.yaml", "-o", format], "").stdout;
    let markdown = output("markdown");
    assert!(markdown.len() < 65_536, "{}", markdown.len());
    assert!(markdown.contains("\n- and ") && markdown.ends_with(" more\n"), "{markdown}");
    let sarif: Value = serde_json::from_str(&output("sarif")).unwrap();
    let notifications = sarif["runs"][0]["invocations"][0]["toolExecutionNotifications"].as_array().unwrap();
    assert_eq!(notifications.len(), 1_001);
    assert!(
        notifications[1_000]["message"]["text"]
            .as_str()
            .unwrap()
            .ends_with("more notifications are left out")
    );
}

#[test]
fn paths_are_those_of_the_repository_wherever_the_run_starts() {
    let directory = directory(CLEAN.replace("x:1", "x").as_str());
    fs::create_dir_all(directory.path().join(".git")).unwrap();
    fs::create_dir_all(directory.path().join("deploy/deep")).unwrap();
    let root = directory.path().canonicalize().unwrap();
    let absolute = root.join("a b.yaml").display().to_string();
    for (from, file) in
        [("", "a b.yaml"), ("", "./a b.yaml"), ("deploy/deep", "../.././a b.yaml"), ("deploy", &absolute)]
    {
        for (format, place) in [
            ("sarif", "{\"uri\":\"a%20b.yaml\",\"uriBaseId\":\"%SRCROOT%\"}"),
            ("github", "::error file=a b.yaml,line=4,"),
            ("gitlab", "\"path\": \"a b.yaml\""),
        ] {
            let run = run_in(&root.join(from), &["analyze", "-f", file, "-o", format], "");
            assert!(run.stdout.contains(place), "{format} of {file} in {from:?}: {run}");
        }
    }
    let outside = directory.path().join("other");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(outside.join(".git")).unwrap();
    let run = run_in(&outside, &["analyze", "-f", &absolute, "-o", "sarif"], "");
    assert!(run.stdout.contains("\"uri\":\"file:///"), "{run}");
}

#[test]
fn one_run_writes_several_formats() {
    let directory = directory(CLEAN);
    let args =
        ["analyze", "-f", "a b.yaml", "-o", "summary", "-o", "sarif=report.sarif", "-o", "html=report.html"];
    let run_of_three = run_in(directory.path(), &args, "");
    assert_eq!(run_of_three.status, 0, "{run_of_three}");
    assert!(run_of_three.stdout.starts_with("===== DevOps Governance Summary ====="));
    let file = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    assert!(file("report.sarif").contains("\"version\":\"2.1.0\""));
    assert!(file("report.html").ends_with("</html>\n"));
}

#[test]
fn outputs_that_cannot_be_written_are_refused() {
    let directory = directory(CLEAN);
    for (outputs, problem) in [
        (vec!["-o", "json", "-o", "yaml"], "two formats are for stdout"),
        (vec!["-o", "json=x", "-o", "yaml=x"], "two formats are for x"),
        (vec!["-o", "json=x", "-o", "yaml=./x"], "two formats are for x"),
        (vec!["-o", "json="], "name a file after the equals sign"),
        (vec!["-o", "pdf"], "there is no format \"pdf\""),
        (vec!["-o", "json=missing/x"], "cannot write missing/x"),
    ] {
        let args: Vec<_> = ["analyze", "-f", "a b.yaml"].into_iter().chain(outputs).collect();
        let refused = run_in(directory.path(), &args, "");
        assert_eq!(refused.status, 2, "{refused}");
        assert!(refused.stderr.contains(problem), "{refused}");
    }
    assert_eq!(run(&["analyze", "-f", "kube-tests/good-workloads.yaml", "-o", "sarif"]).status, 0);
}
