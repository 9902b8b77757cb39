//! `.kube-devops.yaml`: where it is found, what it sets, and what beats it.

use insta::assert_snapshot;

use super::{directory, run_in};

const BAD: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: shop}
spec: {containers: [{name: main, image: 'x:latest', livenessProbe: {}, readinessProbe: {}}]}
";

#[test]
fn a_file_sets_what_no_flag_sets() {
    let config = "\
inputs: [manifests]
recursive: true
ignore: ['*.gen.yaml']
rules: [default, -pending]
severities: {latest-tag: low}
failOn: low
exemptions:
- paths: [manifests/old/]
  rules: [latest-tag]
  reason: It is switched off in March.
- paths: [manifests/older/]
  reason: It was switched off.
  expires: 2020-01-31
";
    let pod = |name: &str| BAD.replace("NAME", name);
    let files = [
        (".kube-devops.yaml", config.to_owned()),
        ("manifests/a.yaml", pod("a")),
        ("manifests/b.gen.yaml", "not a manifest".to_owned()),
        ("manifests/old/c.yaml", pod("c")),
        ("manifests/older/d.yaml", pod("d")),
    ];
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let directory = directory(&files);
    let run = |from: &str, args: &[&str]| run_in(&directory.path().join(from), args, "");
    assert_snapshot!(run("", &["analyze", "-o", "wide"]));
    // From a directory below, the same files are read, and a flag beats the file.
    let below = run("manifests/old", &["analyze", "-o", "table", "--fail-on", "critical"]);
    assert_eq!(below.status, 0, "{below}");
    assert!(below.stdout.contains("Pod/d") && !below.stdout.contains("Pod/c"), "{below}");
    let without = run("", &["analyze", "--no-config", "-f", "manifests/old", "-o", "table"]);
    assert!(without.stdout.contains("high"), "{without}");
    assert_snapshot!(run("manifests", &["config", "--fail-on", "high", "--bundle", "pss-baseline"]));
    assert_snapshot!(run("", &["config"]));
    for format in ["markdown", "sarif", "html"] {
        let report = run("", &["analyze", "-o", format]).stdout;
        assert!(report.contains("1 finding is exempt, of latest-tag in manifests/old/"), "{report}");
    }
}

#[test]
fn flags_for_manifests_are_for_the_inputs_of_the_file_too() {
    let pod = BAD.replace("NAME", "below");
    let directory = directory(&[
        (".kube-devops.yaml", b"inputs: [manifests]\n"),
        ("manifests/a.yaml", BAD.replace("NAME", "a").as_bytes()),
        ("manifests/deep/b.yaml", pod.as_bytes()),
        ("empty/.kube-devops.yaml", b"failOn: high\n"),
    ]);
    for (flags, finds_below) in [(&["-R"][..], true), (&["--complete"], false), (&["-R", "--complete"], true)]
    {
        let run = run_in(directory.path(), &[&["analyze", "-o", "table"], flags].concat(), "");
        assert_eq!((run.status, run.stdout.contains("Pod/below")), (0, finds_below), "{flags:?}: {run}");
    }
    for flag in ["-R", "--complete"] {
        let refused = run_in(&directory.path().join("empty"), &["analyze", flag], "");
        assert_eq!(refused.status, 2, "{refused}");
        assert!(refused.stderr.contains("name them with -f, or as inputs in .kube-devops.yaml"), "{refused}");
        let cluster = run_in(directory.path(), &["analyze", flag, "--context", "prod"], "");
        assert!(cluster.stderr.contains("are for manifests"), "{cluster}");
    }
}

#[test]
fn without_a_file_the_defaults_hold() {
    let directory = directory(&[("a.yaml", BAD.replace("NAME", "a").as_bytes())]);
    assert_snapshot!(run_in(directory.path(), &["config"], ""));
    let missing = run_in(directory.path(), &["analyze", "-f", "a.yaml", "--config", "b.yaml"], "");
    assert_eq!(missing.status, 2, "{missing}");
    assert!(missing.stderr.contains("configuration b.yaml: there is no such file"), "{missing}");
}

#[test]
fn an_invalid_file_stops_the_run_with_its_line() {
    let directory = directory(&[
        (".kube-devops.yaml", b"failOn: high\nfialUnder: 80\n"),
        ("a.yaml", BAD.replace("NAME", "a").as_bytes()),
    ]);
    let refused = run_in(directory.path(), &["analyze", "-f", "a.yaml"], "");
    assert_snapshot!(refused);
}

#[test]
fn an_input_that_is_ignored_altogether_is_empty_and_no_error() {
    let directory = directory(&[
        (".kube-devops.yaml", b"ignore: [vendor/]\n"),
        ("vendor/a.yaml", BAD.replace("NAME", "a").as_bytes()),
    ]);
    for path in ["vendor/a.yaml", "vendor"] {
        let run = run_in(directory.path(), &["analyze", "-f", path, "-o", "table"], "");
        assert_eq!(run.status, 0, "{run}");
        let note = format!("note: {path} was not read: `ignore` in .kube-devops.yaml matches it: vendor/\n");
        assert!(run.stderr.starts_with(&note), "{run}");
    }
}
