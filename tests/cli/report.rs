//! Reports of files in every format, with filters and thresholds.

use insta::assert_snapshot;

use super::{directory, run, run_in};

const SAMPLES: &str = "kube-tests";

#[test]
fn the_samples_are_reported_in_every_format() {
    for format in ["summary", "table", "wide", "json", "yaml"] {
        assert_snapshot!(format!("samples_{format}"), run(&["analyze", "-f", SAMPLES, "-o", format]));
    }
}

#[test]
fn json_and_yaml_are_the_same_report() {
    let json: serde_json::Value =
        serde_json::from_str(&run(&["analyze", "-f", SAMPLES, "-o", "json"]).stdout).unwrap();
    let yaml: serde_json::Value =
        yaml_serde::from_str(&run(&["analyze", "-f", SAMPLES, "-o", "yaml"]).stdout).unwrap();
    assert_eq!(json, yaml);
    assert_eq!(
        (json["apiVersion"].as_str(), json["kind"].as_str()),
        (Some("kube-devops/v1"), Some("Report"))
    );
}

#[test]
fn a_policy_replaces_the_default_rules() {
    assert_snapshot!(run(&["analyze", "-f", SAMPLES, "--policy", "kube-tests/policies/strict.yaml"]));
}

#[test]
fn thresholds_decide_about_exit_status_1() {
    let status = |args: &[&str]| run(&[&["analyze", "-f", SAMPLES], args].concat()).status;
    assert_eq!(status(&["--fail-under", "92"]), 0);
    assert_eq!(status(&["--fail-under", "93"]), 1);
    assert_eq!(status(&["--fail-on", "critical"]), 1);
    assert_eq!(status(&["--fail-on", "critical", "-n", "production"]), 0);
    assert_eq!(status(&["--fail-on", "high", "-n", "production"]), 1);
    assert_eq!(status(&["--fail-on", "huge"]), 2);
    assert_eq!(status(&["--fail-under", "101"]), 2);
    assert_eq!(status(&["--fail-under-compliance", "40"]), 0);
    assert_eq!(status(&["--fail-under-compliance", "40.1"]), 1);
    assert_eq!(status(&["--fail-under-compliance", "101"]), 2);
    let both = run(&["analyze", "-f", "kube-tests", "--fail-under", "93", "--fail-on", "high"]);
    for said in
        ["failed: the score of 92 is below --fail-under 93", "failed: the worst violation is critical"]
    {
        assert!(both.stderr.contains(said), "{}", both.stderr);
    }
}

#[test]
fn namespaces_and_labels_narrow_a_report() {
    let pods = |args: &[&str]| {
        let run = run(&[&["analyze", "-f", SAMPLES, "-o", "json"], args].concat());
        serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap()["summary"]["pods"].as_u64().unwrap()
    };
    assert_eq!(pods(&["-A"]), 10);
    assert_eq!(pods(&["-n", "production"]), 5);
    assert_eq!(pods(&["-n", "production", "-n", "staging"]), 10);
    assert_eq!(pods(&["-n", "production", "-A"]), 10);
    assert_eq!(pods(&["-n", "nowhere"]), 0);
    assert_eq!(pods(&["-l", "no-such-label"]), 0);
    assert_eq!(pods(&["-l", ""]), 10);
    assert_eq!(pods(&["-l", "app>1"]), 0);
}

#[test]
fn standard_input_is_a_file_too() {
    let pod =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: nginx}]}\n";
    assert_snapshot!(run_in(std::path::Path::new("."), &["analyze", "-f", "-", "-o", "wide"], pod));
}

#[test]
fn directories_within_directories_are_read_only_with_recursion() {
    let pod =
        b"{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: 'd:1'}]}}";
    let tree = directory(&[("a.yaml", pod), ("b/c.yml", pod), ("b/c.txt", b"no manifest")]);
    let pods = |args: &[&str]| run_in(tree.path(), args, "").stdout.lines().nth(1).unwrap().to_owned();
    assert_eq!(pods(&["analyze", "-f", "."]), "Workload Pods Analyzed     : 1");
    assert_eq!(pods(&["analyze", "-f", ".", "-R"]), "Workload Pods Analyzed     : 2");
    assert_eq!(pods(&["analyze", "-f", "a.yaml", "-f", "b/c.yml"]), "Workload Pods Analyzed     : 2");
}

#[test]
fn a_file_that_several_inputs_name_is_read_once() {
    let pod =
        b"{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: 'd:1'}]}}";
    let tree = directory(&[("a.yaml", pod), ("b/c.yaml", pod)]);
    let analyze = |inputs: &[&str]| {
        let flags = inputs.iter().flat_map(|input| ["-f", input]);
        let run = run_in(tree.path(), &["analyze", "-R"].into_iter().chain(flags).collect::<Vec<_>>(), "");
        (run.status, run.stderr, run.stdout.lines().nth(1).unwrap().to_owned())
    };
    let once = |pods: u32| (0, String::new(), format!("Workload Pods Analyzed     : {pods}"));
    assert_eq!(analyze(&["a.yaml", "a.yaml"]), once(1));
    assert_eq!(analyze(&["a.yaml", "./b/../a.yaml"]), once(1));
    assert_eq!(analyze(&[".", "a.yaml", "b"]), once(2));
    let absolute = tree.path().join("a.yaml");
    assert_eq!(analyze(&["a.yaml", absolute.to_str().unwrap()]), once(1));
}

#[cfg(unix)]
#[test]
fn a_link_to_a_file_that_is_read_adds_nothing() {
    let pod =
        b"{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: 'd:1'}]}}";
    let tree = directory(&[("a.yaml", pod)]);
    std::os::unix::fs::symlink("a.yaml", tree.path().join("b.yaml")).unwrap();
    let run = run_in(tree.path(), &["analyze", "-f", "."], "");
    assert!(run.stdout.contains("Analyzed     : 1"), "{run}");
}

#[test]
fn standard_input_is_read_once() {
    let pod =
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: 'd:1'}]}}";
    let run = run_in(std::path::Path::new("."), &["analyze", "-f", "-", "-f", "-"], pod);
    assert!(run.status == 0 && run.stdout.contains("Analyzed     : 1"), "{run}");
}

#[test]
fn left_out_system_namespaces_are_noted() {
    let pod = b"{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: kube-system}, \
                spec: {containers: [{name: c, image: 'd:1'}]}}";
    let tree = directory(&[("a.yaml", pod)]);
    assert_snapshot!(run_in(tree.path(), &["analyze", "-f", "a.yaml"], ""));
    let all = run_in(tree.path(), &["analyze", "-f", "a.yaml", "--include-system"], "");
    assert!(all.stdout.contains("Analyzed     : 1") && all.stderr.is_empty());
}

#[test]
fn an_empty_result_is_noted() {
    let tree = directory(&[("a.yaml", b"apiVersion: v1\nkind: Service\n")]);
    assert_snapshot!(run_in(tree.path(), &["analyze", "-f", "a.yaml"], ""));
}

#[test]
fn missing_names_are_noted() {
    let pod = b"{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {app: web}}, spec: {containers: [{name: c, image: 'd:1'}]}}";
    let tree = directory(&[("a.yaml", pod)]);
    let note = |args: &[&str]| {
        let run = run_in(tree.path(), &[&["analyze", "-f", "a.yaml"], args].concat(), "");
        assert_eq!(run.status, 0);
        run.stderr
    };
    let nothing = "note: nothing was evaluated: no pod or template that was read";
    assert_eq!(note(&["-l", "app=api"]), format!("{nothing} has the labels app=api\n"));
    assert_eq!(
        note(&["-n", "shop", "-l", "app=api"]),
        format!("{nothing} is in namespace shop and has the labels app=api\n")
    );
    assert_eq!(note(&["-n", "a", "-n", "b"]), format!("{nothing} is in namespace a or b\n"));
    assert_eq!(note(&["-l", "app=web"]), "");
    for name in ["", "Shop", "../nodes"] {
        let run = run_in(tree.path(), &["analyze", "-f", "a.yaml", "-n", name], "");
        assert_eq!((run.status, &*run.stdout), (2, ""));
        let expected =
            format!("error: invalid value '{name}' for '--namespace <NAME>': not a name of a namespace");
        assert!(run.stderr.starts_with(&expected), "{run}");
    }
}

#[test]
fn unlisted_objects_of_other_kinds_are_counted() {
    let all = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: 'd:1'}]}}\n---\n\
               {apiVersion: v1, kind: Service}\n---\n{apiVersion: v1, kind: Service}\n---\n{apiVersion: v1, kind: Secret}\n";
    let note = |all: &str, format: &str| {
        run_in(&std::env::temp_dir(), &["analyze", "-f", "-", "-o", format], all).stderr
    };
    let expected = "note: 3 objects of 2 other kinds were not evaluated (-o json lists them)\n";
    assert_eq!((&*note(all, "summary"), &*note(all, "table"), &*note(all, "json")), (expected, expected, ""));
    let one = &all[..all.rfind("---").unwrap()];
    let two = "note: 2 objects of another kind were not evaluated (-o json lists them)\n";
    assert_eq!(note(one, "summary"), two);
    let one = &one[..one.rfind("---").unwrap()];
    assert_eq!(note(one, "summary"), "note: 1 object of another kind was not evaluated (-o json lists it)\n");
}

#[test]
fn a_pipe_gets_no_colours() {
    assert!(!run(&["analyze", "-f", SAMPLES]).stdout.contains('\u{1b}'));
}

#[cfg(unix)]
#[test]
fn a_reader_that_stops_early_is_no_error() {
    let binary = env!("CARGO_BIN_EXE_kube-devops");
    let script = format!("{binary} analyze -f kube-tests -o json | head -1; exit ${{PIPESTATUS[0]}}");
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
}

#[test]
fn thresholds_out_of_range_are_reported_with_the_range() {
    let below = run(&["analyze", "-f", SAMPLES, "--fail-under", "-1"]);
    assert_eq!(below.status, 2);
    assert!(below.stderr.contains("give a whole number from 0 to 100"), "{}", below.stderr);
    let unknown = run(&["analyze", "-f", SAMPLES, "--fail-on", "bad"]);
    assert_eq!(unknown.status, 2);
    assert!(unknown.stderr.contains("low, medium, high, critical"), "{}", unknown.stderr);
}

#[test]
fn the_case_of_a_severity_does_not_matter() {
    for severity in ["high", "HIGH", "High"] {
        assert_eq!(run(&["analyze", "-f", SAMPLES, "--fail-on", severity]).status, 1, "{severity}");
    }
}
