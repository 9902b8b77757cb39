//! `--compare`: the findings and figures that got better and worse between two inputs.

use std::fs;

use insta::assert_snapshot;

use super::{directory, run_in};

const OLD: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {containers: [{name: main, image: 'x:latest', livenessProbe: {}}, {name: side, image: 'x:1', livenessProbe: {}}]}
";

#[test]
fn better_and_worse_findings_are_told_apart_in_each_format() {
    let new = OLD.replace("x:latest", "x:2").replace("name: side, image: 'x:1'", "name: side, image: x");
    let directory = directory(&[("old/a.yaml", OLD.as_bytes()), ("new/b.yaml", new.as_bytes())]);
    let compare = |args: &[&str]| {
        let args: Vec<_> = ["analyze", "--compare"].iter().chain(args).copied().collect();
        run_in(directory.path(), &args, "")
    };
    assert_snapshot!(compare(&["old", "new", "--fail-on", "high"]));
    assert_snapshot!(compare(&["old", "new", "-o", "markdown", "--fail-on", "critical"]));
    let json = compare(&["old", "new", "-o", "json"]);
    assert_snapshot!(json);

    // Reports and manifests compare alike.
    for side in ["old", "new"] {
        let report = run_in(directory.path(), &["analyze", "-f", side, "-o", "json"], "");
        fs::write(directory.path().join(format!("{side}.json")), report.stdout).unwrap();
    }
    assert_eq!(compare(&["old.json", "new.json", "-o", "json"]).stdout, json.stdout);
    assert_eq!(compare(&["old", "new.json", "-o", "json"]).stdout, json.stdout);
    let same = compare(&["old", "old.json", "-o", "markdown"]);
    assert!(same.stdout.starts_with("## kube-devops: 0 findings worse, 0 findings better\n"), "{same}");
}

#[test]
fn a_comparison_with_something_unread_is_an_error() {
    let directory = directory(&[("old.yaml", OLD.as_bytes()), ("new.yaml", b"a: [")]);
    let partial = run_in(directory.path(), &["analyze", "--compare", "old.yaml", "new.yaml"], "");
    assert_eq!((partial.status, partial.stderr.contains("error: new.yaml:1")), (2, true), "{partial}");
    for (args, problem) in [
        (&["-o", "sarif"][..], "--compare has no format \"sarif\": use summary, markdown or json"),
        (&["-f", "old.yaml"], "cannot be used with"),
    ] {
        let args: Vec<_> =
            ["analyze", "--compare", "old.yaml", "old.yaml"].iter().chain(args).copied().collect();
        let refused = run_in(directory.path(), &args, "");
        assert_eq!((refused.status, refused.stderr.contains(problem)), (2, true), "{refused}");
    }
}

#[test]
fn reports_that_differ_by_their_flags_are_refused() {
    let directory = directory(&[("old.yaml", OLD.as_bytes())]);
    let run = |args: &[&str]| run_in(directory.path(), args, "");
    run(&["analyze", "-f", "old.yaml", "--write-baseline", "baseline.json"]);
    for (name, flags) in [
        ("all", &[][..]),
        ("shop", &["--namespace", "shop"]),
        ("rules", &["--rules", "all"]),
        ("new", &["--baseline", "baseline.json"]),
    ] {
        let report = run(&[&["analyze", "-f", "old.yaml", "-o", "json"], flags].concat());
        fs::write(directory.path().join(format!("{name}.json")), report.stdout).unwrap();
    }
    for (args, problem) in [
        (&["all.json", "shop.json"][..], "OLD was made with no filter, and NEW with --namespace=shop"),
        (&["rules.json", "all.json"], "is on only in OLD"),
        (&["old.yaml", "rules.json"], "is on only in NEW"),
        (&["new.json", "all.json"], "OLD does not list all findings, because it was made with --baseline"),
        (&["all.json", "all.json", "-n", "shop"], "report all.json: --namespace=shop is for manifests"),
    ] {
        let refused = run(&[&["analyze", "--compare"], args].concat());
        assert_eq!((refused.status, refused.stderr.contains(problem)), (2, true), "{refused}");
    }
    assert_eq!(run(&["analyze", "--compare", "shop.json", "old.yaml"]).status, 2);
    let same = run(&["analyze", "--compare", "old.yaml", "old.yaml", "-n", "shop"]);
    assert_eq!(same.status, 0, "{same}");
}
