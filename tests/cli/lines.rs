//! The lines of findings: each leads to its field, also if the finding was made after the object was read.

use serde_json::Value;

use super::{Run, directory, run_in};

/// Services without pods, and a workload with a single replica. The second Service takes its selector from the first.
const SHOP: &str = "\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: first, namespace: shop}
  spec: &spec
    ports: [{port: 80}]
    selector: {app: gone}
- apiVersion: v1
  kind: Service
  metadata: {name: second, namespace: shop}
  spec:
    <<: *spec
    type: ClusterIP
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: shop}
  spec:
    selector: {app: web}
    ports: [{port: 80}]
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: shop}
  spec:
    selector: {matchLabels: {app: web}}
    template:
      metadata: {labels: {app: web}}
      spec: {containers: [{name: c, image: 'x:1'}]}
";
/// The lines of the selector, of the selector behind the anchor, and of the spec, which lacks `replicas`.
const FOUND: [&str; 3] = ["dangling-service first 9", "dangling-service second 9", "single-replica web 25"];

const ANALYZE: [&str; 6] =
    ["analyze", "--complete", "--rules", "dangling-service,single-replica", "-o", "json"];

/// Returns the violations as `rule name line`.
fn lines(run: &Run) -> Vec<String> {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"));
    let row = |violation: &Value| {
        let [rule, name, source] =
            ["rule", "name", "source"].map(|field| violation[field].as_str().unwrap_or_default());
        format!("{rule} {name} {}", source.rsplit(':').next().unwrap())
    };
    report["violations"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_finding_about_several_objects_has_the_line_of_its_field_from_every_input() {
    let tree = directory(&[("shop.yaml", SHOP.as_bytes())]);
    let analyze =
        |file: &str, stdin: &str| lines(&run_in(tree.path(), &[&ANALYZE[..], &["-f", file]].concat(), stdin));
    assert_eq!(analyze("shop.yaml", ""), FOUND);
    assert_eq!(analyze("-", SHOP), FOUND);
    let json = "\
{
  \"apiVersion\": \"v1\", \"kind\": \"ServiceList\", \"items\": [
    {\"metadata\": {\"name\": \"first\"}, \"spec\": {\"selector\": {\"app\": \"gone\"}}},
    {
      \"metadata\": {\"name\": \"second\"},
      \"spec\": {
        \"ports\": [],
        \"selector\": {\"app\": \"gone\"}
      }
    }
  ]
}
";
    assert_eq!(analyze("-", json), ["dangling-service first 3", "dangling-service second 8"]);
    // A pipe is read once, too, and a stream of more than a megabyte is copied into a file.
    let large = format!("# {}\n---\n{SHOP}", "x".repeat(3_000_000));
    let found = analyze("-", &large);
    assert_eq!(found, ["dangling-service first 11", "dangling-service second 11", "single-replica web 27"]);
}

#[test]
fn the_last_of_repeated_keys_has_the_line() {
    let service = "{\n\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"web\"},\n\
                   \"spec\": {},\n\"spec\": {\n\"selector\": {\"app\": \"gone\"},\n\"selector\": {\"app\": \"lost\"}}}";
    let list = format!("{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n{service}]}}");
    let pod = service.replace("Service", "Pod").replace("\"selector\"", "\"containers\"");
    let pod = pod
        .replace("{\"app\": \"gone\"}", "[]")
        .replace("{\"app\": \"lost\"}", "[{\n\"name\": \"c\", \"image\": \"x:1\"}]");
    let yaml = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  selector: {app: gone}\n  selector: {app: lost}\n";
    for (rules, text, line) in [
        ("dangling-service", service, "web 6"),
        ("dangling-service", &*list, "web 7"),
        ("dangling-service", yaml, "web 6"),
        ("missing-liveness", &*pod, "web 6"),
    ] {
        let args = ["analyze", "--complete", "--rules", rules, "-o", "json", "-f", "-"];
        let run = run_in(std::path::Path::new("."), &args, text);
        assert_eq!(lines(&run), [format!("{rules} {line}")], "{run}");
    }
}

#[test]
fn every_format_has_the_line_of_the_field() {
    let tree = directory(&[("shop.yaml", SHOP.as_bytes())]);
    for (format, line) in [
        ("wide", "shop.yaml:25"),
        ("yaml", "source: shop.yaml:25"),
        ("sarif", "\"startLine\":25"),
        ("junit", "shop.yaml:25: spec.replicas"),
        ("github", "file=shop.yaml,line=25,"),
        ("gitlab", "\"begin\": 25"),
        ("markdown", "shop.yaml:25 |"),
        ("html", "shop.yaml:25"),
    ] {
        let args = ["analyze", "--complete", "--rules", "single-replica", "-f", "shop.yaml", "-o", format];
        let run = run_in(tree.path(), &args, "");
        assert!(run.stdout.contains(line), "{format}: {run}");
    }
}

#[test]
fn a_finding_of_an_own_rule_has_the_line_of_the_spec() {
    let rules = "customRules:\n\
        - {id: alone, match: {kinds: [Deployment]}, expression: 'false', message: m}\n\
        - {id: by-namespace, match: {kinds: [Deployment]}, message: m, \
           expression: 'namespaceObject.metadata.name != \"shop\"'}\n";
    let input =
        SHOP.replace("items:\n", "items:\n- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n");
    let tree = directory(&[("shop.yaml", input.as_bytes()), ("rules.yaml", rules.as_bytes())]);
    let args = ["analyze", "--rules-file", "rules.yaml", "-f", "shop.yaml", "-o", "json"];
    let run = run_in(tree.path(), &args, "");
    let own: Vec<_> =
        lines(&run).into_iter().filter(|line| line.starts_with("alone") || line.starts_with("by-")).collect();
    assert_eq!(own, ["alone web 26", "by-namespace web 26"], "{run}");
}
