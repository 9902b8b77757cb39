//! `--write-baseline` and `--baseline`: known findings pass, new ones do not, and fixed ones are named.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use super::{directory, run_in};

/// A Deployment with two findings in one container, and a clean container.
const OLD: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: 'x:latest', readinessProbe: {}}
      - {name: side, image: 'x:1', livenessProbe: {}, readinessProbe: {}}
";

#[test]
fn a_baseline_accepts_what_it_lists_and_nothing_else() {
    let directory = directory(&[("web.yaml", OLD.as_bytes())]);
    let analyze = |args: &[&str]| {
        let args: Vec<_> = ["analyze", "-f", "."].iter().chain(args).copied().collect();
        run_in(directory.path(), &args, "")
    };
    let written = analyze(&["--write-baseline", "known.baseline", "--fail-on", "low", "-o", "table"]);
    assert_eq!(written.status, 0, "{written}");
    assert!(written.stderr.contains("known.baseline has 2 findings"), "{written}");
    assert_snapshot!(fs::read_to_string(directory.path().join("known.baseline")).unwrap());

    let same = analyze(&["--baseline", "known.baseline", "--fail-under", "100", "-o", "table"]);
    assert_eq!(same.status, 0, "{same}");

    // Lines move, the file gets another name, one finding is mended, and a container gets a new one.
    let new = format!("# moved\n\n{}", OLD.replace("x:latest", "x:2").replace("'x:1'", "x"));
    fs::remove_file(directory.path().join("web.yaml")).unwrap();
    fs::write(directory.path().join("other.yaml"), new).unwrap();
    assert_snapshot!(analyze(&["--baseline", "known.baseline", "-o", "table"]));
    assert_snapshot!(analyze(&["--baseline", "known.baseline", "-o", "summary", "--fail-on", "critical"]));
    let json = analyze(&["--baseline", "known.baseline", "-o", "json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_snapshot!(serde_json::to_string_pretty(&json["baseline"]).unwrap());
    assert_eq!(json["violations"].as_array().unwrap().len(), 1);
    // The figures still count everything.
    assert_eq!(
        (&json["summary"]["score"], &json["summary"]["counts"]["latest-tag"]),
        (&92.into(), &1.into())
    );

    let shrunk = analyze(&["--baseline", "known.baseline", "--write-baseline", "known.baseline"]);
    assert_eq!(shrunk.status, 0, "{shrunk}");
    let after = analyze(&["--baseline", "known.baseline", "-o", "table"]);
    assert_eq!((after.status, after.stderr.contains("fixed")), (0, false), "{after}");
}

#[test]
fn a_partial_input_writes_no_baseline_and_calls_nothing_fixed() {
    let directory = directory(&[("web.yaml", OLD.as_bytes())]);
    let analyze = |args: &[&str]| {
        let args: Vec<_> = ["analyze", "-o", "table", "-f", "web.yaml"].iter().chain(args).copied().collect();
        run_in(directory.path(), &args, "")
    };
    assert_eq!(analyze(&["--write-baseline", "b"]).status, 0);
    fs::write(directory.path().join("web.yaml"), "a: [").unwrap();
    let partial = analyze(&["--baseline", "b"]);
    assert_eq!((partial.status, partial.stderr.contains("fixed")), (2, false), "{partial}");
    let unwritten = analyze(&["--write-baseline", "c"]);
    assert_eq!((unwritten.status, unwritten.stderr.contains("c was not written")), (2, true), "{unwritten}");
    assert!(!directory.path().join("c").exists());
}

#[test]
fn a_baseline_that_is_none_is_refused_with_the_way_out() {
    let directory = directory(&[("web.yaml", OLD.as_bytes()), ("b", b"{\"kind\": \"Report\"}"), ("c", b"{")]);
    for (file, problem) in [
        ("a", "baseline a: there is no such file; --write-baseline writes it"),
        ("b", "baseline b: expected kind \"Baseline\""),
        ("c", "baseline c: EOF while parsing an object at line 1 column 1; --write-baseline"),
    ] {
        let refused = run_in(directory.path(), &["analyze", "-f", "web.yaml", "--baseline", file], "");
        assert_eq!((refused.status, refused.stdout.is_empty()), (2, true), "{refused}");
        assert!(refused.stderr.contains(problem), "{refused}");
    }
}
