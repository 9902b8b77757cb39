//! Every notation of the same objects reads the same, and unreadable objects are reported with their place.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::files::{Inputs, Listed, Place};
use crate::workload::Object;
use crate::workload::Parsed as Content;

/// Lists the objects as `kind/name@line`.
struct Names;

impl Consumer for Names {
    type Part = Vec<String>;

    fn part(&self) -> Vec<String> {
        Vec::new()
    }

    fn add(&self, part: &mut Vec<String>, object: &Object<'_>, place: Place<'_>) {
        match &object.parsed {
            Content::Workload(workload) => {
                part.push(format!("{}/{}@{}", workload.kind.name(), workload.name(), place.line));
            }
            Content::List(items) => items.iter().for_each(|item| self.add(part, item, place)),
            Content::Related(_) | Content::Other { .. } | Content::Foreign => {
                part.push(format!("{}@{}", object.types.kind, place.line));
            }
        }
    }

    fn note(&self, part: &mut Vec<String>, place: Place<'_>, message: &str) {
        part.push(format!("note@{}: {message}", place.line));
    }

    fn merge(&self, into: &mut Vec<String>, part: Vec<String>) {
        into.extend(part);
    }
}

/// Lists inputs without unreadable paths.
fn sources(inputs: &Inputs) -> Vec<Source> {
    let source = |listed| match listed {
        Listed::Source(source) => source,
        other => panic!("{other:?}"),
    };
    inputs.list().into_iter().map(source).collect()
}

fn read_file(content: &[u8], name: &str, lines: bool) -> (Vec<String>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    read_paths(&[path.as_path()], lines)
}

fn read_paths(paths: &[&Path], lines: bool) -> (Vec<String>, Vec<String>) {
    let inputs = Inputs { paths: paths.iter().map(|path| (*path).to_owned()).collect(), ..Inputs::default() };
    let sources = sources(&inputs);
    let found = read(&inputs.paths, sources, lines, &Names);
    let mut names: Vec<String> = found.iter().flat_map(|found| found.part.clone()).collect();
    names.sort();
    let unread = found.into_iter().flat_map(|found| found.unread);
    (names, unread.map(|u| format!("{:?} {:?} {}", u.document, u.line, u.message)).collect())
}

/// The smallest spec that the API server accepts.
const SPEC: &str = "spec: {containers: [{name: c, image: d:1}]}\n";

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"a": "},{\"metadata\":"}}, "spec": {"containers": [{"name": "c", "image": "d:1"}]}})
}

fn with_type(mut object: Value, kind: &str) -> Value {
    object["apiVersion"] = "v1".into();
    object["kind"] = kind.into();
    object
}

#[test]
fn a_list_reads_the_same_in_every_notation() {
    // More than a block, so that there are several pieces.
    let count = 40_000;
    let names: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
    let items: Vec<Value> = names.iter().map(|name| pod(name)).collect();
    let typed: Vec<Value> = items.iter().map(|item| with_type(item.clone(), "Pod")).collect();
    let join =
        |items: &[Value], between: &str| items.iter().map(Value::to_string).collect::<Vec<_>>().join(between);
    let server =
        format!(r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{}},"items":[{}]}}"#, join(&items, ","));
    let spaced = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"PodList\",\"items\" : [ {} ] }}\n",
        join(&items, " ,\n ")
    );
    let sorted = format!(r#"{{"apiVersion":"v1","items":[{}],"kind":"PodList"}}"#, join(&items, ","));
    let kubectl = json!({"apiVersion": "v1", "kind": "List", "items": typed});
    let mut expected: Vec<String> = names.iter().map(|name| format!("Pod/{name}@1")).collect();
    expected.sort();
    for text in [server, spaced, sorted, kubectl.to_string(), serde_json::to_string_pretty(&kubectl).unwrap()]
    {
        let (read, unread) = read_file(text.as_bytes(), "list.json", false);
        assert_eq!(unread, Vec::<String>::new());
        assert_eq!(read.len(), count, "{}", &text[..80]);
        assert_eq!(read, expected, "{}", &text[..80]);
        let (exact, _) = read_file(text.as_bytes(), "list.json", true);
        assert_eq!(exact.len(), count);
    }
}

#[test]
fn items_have_lines_on_request() {
    let list = json!({"apiVersion": "v1", "kind": "List",
        "items": [with_type(pod("a"), "Pod"), with_type(pod("b"), "Pod")]});
    let json = serde_json::to_string_pretty(&list).unwrap();
    let yaml = format!("# of kubectl\n---\n{}---\n{}", yaml_serde::to_string(&list).unwrap(), "null\n");
    for (text, opening) in [(json, "\n    {"), (yaml, "\n- apiVersion")] {
        let line_of = |item: usize| {
            let before = text.match_indices(opening).nth(item).unwrap().0;
            text[..before].matches('\n').count() + 2
        };
        let (names, _) = read_file(text.as_bytes(), "list", true);
        assert_eq!(names, [format!("Pod/a@{}", line_of(0)), format!("Pod/b@{}", line_of(1))], "{text}");
    }
}

#[test]
fn a_border_inside_an_object_is_no_border() {
    // The claims of a StatefulSet look like items of a list to a search for the text between items.
    let claims: Vec<Value> = (0..40).map(|n| json!({"metadata": {"name": format!("claim-{n}")}})).collect();
    let mut text = r#"{"kind":"StatefulSetList","apiVersion":"apps/v1","items":["#.to_owned();
    for n in 0..2_000 {
        let comma = if n == 0 { "" } else { "," };
        let mut set =
            json!({"metadata": {"name": format!("s{n}")}, "spec": {"volumeClaimTemplates": claims}});
        set["spec"]["template"]["spec"] = pod("s")["spec"].take();
        write!(text, "{comma}{set}").unwrap();
    }
    text.push_str("]}");
    let (names, unread) = read_file(text.as_bytes(), "sets.json", false);
    assert_eq!((names.len(), unread.len()), (2_000, 0));
}

#[test]
fn json_and_yaml_streams_may_hold_many_documents() {
    let json = format!("{}\n{}", with_type(pod("a"), "Pod"), with_type(pod("b"), "Service"));
    assert_eq!(read_file(json.as_bytes(), "f.json", true).0, ["Pod/a@1", "Service@2"]);
    let yaml = format!(
        "# one\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\n{SPEC}---\n{{apiVersion: v1, kind: Service}}\n"
    );
    assert_eq!(read_file(yaml.as_bytes(), "f.yaml", false).0, ["Pod/a@3", "Service@8"]);
}

#[test]
fn json_and_yaml_documents_mix_in_any_order() {
    let json = |name: &str| with_type(pod(name), "Pod").to_string();
    let yaml = |name: &str| format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\n{SPEC}");
    let flow = |name: &str| {
        format!("{{\"apiVersion\": v1, kind: Pod, metadata: {{name: {name},}}, {},}}", SPEC.trim())
    };
    for (text, expected) in [
        (format!("{}\n---\n{}\n---\n{}\n", json("a"), json("b"), json("c")), &["a@1", "b@3", "c@5"][..]),
        (format!("{}\n---\n", json("a")), &["a@1"]),
        (format!("{}\n---", json("a")), &["a@1"]),
        (format!("{}\n...\n", json("a")), &["a@1"]),
        (format!("{}\n...\n---\n{}", json("a"), json("b")), &["a@1", "b@4"]),
        (format!("{}\n---\n# why\n{}---\n{}\n", json("a"), yaml("b"), json("c")), &["a@1", "b@4", "c@9"]),
        (format!("{}---\n{}\n---\n{}\n", yaml("a"), json("b"), json("c")), &["a@1", "b@6", "c@8"]),
        (format!("---\n{}\n{}\n--- {}", json("a"), json("b"), json("c")), &["a@2", "b@3", "c@4"]),
        (format!("{}\n", flow("a")), &["a@1"]),
        (format!("{}\n---\n{}\n", json("a"), flow("b")), &["a@1", "b@3"]),
        (format!("{}\n---\n{}\n", flow("a"), json("b")), &["a@1", "b@3"]),
        (format!("{}\n{}", json("a"), yaml("b")), &["a@1", "b@2"]),
        (format!("{}\n{}", json("a"), flow("b")), &["a@1", "b@2"]),
        (format!("{}\n---# b\n{}\n---# c\n{}", json("a"), json("b"), yaml("c")), &["a@1", "b@3", "c@5"]),
    ] {
        for lines in [false, true] {
            let (names, unread) = read_file(text.as_bytes(), "f", lines);
            assert_eq!(unread, Vec::<String>::new(), "{text}");
            let bare = |name: &str| name.split_once('@').unwrap().0.to_owned();
            if lines {
                assert_eq!(
                    names,
                    expected.iter().map(|name| format!("Pod/{name}")).collect::<Vec<_>>(),
                    "{text}"
                );
            } else {
                let names: Vec<String> = names.iter().map(|name| bare(name)).collect();
                assert_eq!(
                    names,
                    expected.iter().map(|name| format!("Pod/{}", bare(name))).collect::<Vec<_>>()
                );
            }
        }
    }
}

#[test]
fn empty_documents_are_skipped() {
    let json = with_type(pod("a"), "Pod").to_string();
    let yaml = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\n{SPEC}");
    for object in [&json, &yaml] {
        for text in [
            format!("---\n---\n# none\n---\n{object}"),
            format!("---\nnull\n---\n{object}\n---\n~\n"),
            format!("{object}\n---\nnull\n---\n~ # why\n---\n"),
            format!("null\n---\n{object}"),
        ] {
            let (names, unread) = read_file(text.as_bytes(), "f", false);
            assert_eq!((names.len(), unread), (1, Vec::new()), "{text}");
        }
    }
    let (names, unread) = read_file(format!("{json}\nnull\n{json}").as_bytes(), "f", false);
    assert_eq!((names.len(), unread), (2, Vec::new()));
    for nothing in ["null", "~\n---\nnull\n"] {
        let (_, unread) = read_file(nothing.as_bytes(), "f", false);
        assert!(unread[0].contains("there is no Kubernetes object in it"), "{}", unread[0]);
    }
}

#[test]
fn documents_are_numbered_across_formats() {
    let good = with_type(pod("a"), "Pod");
    let text =
        format!("{good}\n---\n{good}\n---\napiVersion: v1\nkind: Pod\nspec: 5\n---\n{{\"kind\": ]}}\n");
    let (names, unread) = read_file(text.as_bytes(), "f", true);
    assert_eq!((names.len(), unread.len()), (2, 2), "{unread:?}");
    assert!(unread[0].starts_with("Some(3) Some(7) spec: invalid type"), "{}", unread[0]);
    assert!(unread[1].starts_with("Some(4) Some(9) "), "{}", unread[1]);
    // Input that is neither JSON nor YAML is reported as JSON if it begins like JSON.
    let (_, unread) = read_file(b"{\"kind\": ]}\n", "f", false);
    assert_eq!(unread, ["Some(1) Some(1) expected value"]);
}

#[test]
fn a_large_json_list_may_be_followed_by_markers() {
    let items: Vec<Value> = (0..20_000).map(|n| pod(&format!("p{n}"))).collect();
    let list = json!({"kind": "PodList", "apiVersion": "v1", "items": items});
    let text = format!("{list}\n---\n{list}\n---\napiVersion: v1\nkind: Pod\n{SPEC}...\n");
    let (names, unread) = read_file(text.as_bytes(), "f.json", false);
    assert_eq!((names.len(), unread.len()), (40_001, 0));
}

#[test]
fn a_large_yaml_stream_is_cut_between_documents() {
    let mut text = String::new();
    let count = 30_000;
    for n in 0..count {
        let head =
            format!("---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p{n}\n  note: |\n    ---\n    x\n");
        write!(text, "{head}{SPEC}").unwrap();
    }
    let (names, unread) = read_file(text.as_bytes(), "f.yaml", false);
    assert_eq!((names.len(), unread.len()), (count, 0));
    assert!(names.contains(&format!("Pod/p{}@{}", count - 1, 9 * (count - 1) + 2)));
}

#[test]
fn one_broken_object_does_not_affect_others() {
    let mut bad = pod("bad");
    bad["spec"]["containers"] = "nginx".into();
    let list = json!({"apiVersion": "v1", "kind": "PodList", "items": [pod("a"), bad, pod("b")]});
    let (names, unread) = read_file(list.to_string().as_bytes(), "f.json", false);
    assert_eq!(names, ["Pod/a@1", "Pod/b@1"]);
    assert_eq!(
        unread,
        [
            "Some(1) Some(1) items[1] (bad): spec.containers: invalid type: string \"nginx\", expected a sequence"
        ]
    );

    let yaml = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\n{SPEC}---\na: [1\n---\napiVersion: v1\nkind: Pod\nspec:\n  \
         containers:\n  - name: c\n    image: 5\n"
    );
    let (names, unread) = read_file(yaml.as_bytes(), "f.yaml", false);
    assert_eq!(names, ["Pod/a@1"]);
    assert_eq!(unread.len(), 2);
    assert!(
        unread[0].starts_with("Some(2) Some(6) ") && unread[0].contains("unclosed bracket"),
        "{}",
        unread[0]
    );
    assert!(
        unread[1].starts_with("Some(3) Some(13) spec.containers[0].image: invalid type"),
        "{}",
        unread[1]
    );
}

#[test]
fn a_pod_without_containers_is_refused_as_the_api_server_would() {
    for (object, path) in [
        ("{apiVersion: v1, kind: Pod}", "spec"),
        ("{apiVersion: v1, kind: Pod, spec: {containers: []}}", "spec"),
        ("{apiVersion: v1, kind: Pod, spec: {initContainers: [{name: c}]}}", "spec"),
        ("{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 2}}", "spec.template.spec"),
        ("{apiVersion: apps/v1, kind: DaemonSet, spec: {template: {}}}", "spec.template.spec"),
        ("{apiVersion: v1, kind: ReplicationController, spec: null}", "spec.template.spec"),
        ("{apiVersion: batch/v1, kind: CronJob}", "spec.jobTemplate.spec.template.spec"),
    ] {
        let value: Value = yaml_serde::from_str(object).unwrap();
        let yaml = format!("# first\n{object}\n---\napiVersion: v1\nkind: Pod\n{SPEC}");
        let json = format!("\n{value}\n{}", with_type(pod(""), "Pod"));
        for (text, read_line) in [(yaml, 4), (json, 3)] {
            let (names, unread) = read_file(text.as_bytes(), "f", false);
            assert_eq!(names, [format!("Pod/@{read_line}")], "{text}");
            assert_eq!(unread.len(), 1, "{unread:?}");
            let start = format!("Some(1) Some(2) {path}.containers: give the pod at least one container");
            assert!(unread[0].starts_with(&start), "{}", unread[0]);
        }
    }
}

#[test]
fn an_item_without_containers_does_not_affect_others() {
    let list = json!({"apiVersion": "v1", "kind": "PodList",
        "items": [pod("a"), {"metadata": {"name": "bare"}}, pod("b")]});
    let yaml = yaml_serde::to_string(&list).unwrap();
    let dashes = yaml.lines().zip(1..).filter(|(line, _)| line.starts_with("- ")).map(|(_, line)| line);
    let dashes: Vec<usize> = dashes.collect();
    for (text, lines) in [(list.to_string(), vec![1, 1, 1]), (yaml, dashes)] {
        let (names, unread) = read_file(text.as_bytes(), "f", false);
        let read = [format!("Pod/a@{}", lines[0]), format!("Pod/b@{}", lines[2])];
        assert_eq!((&names[..], unread.len()), (&read[..], 1));
        let start = format!("Some(1) Some({}) items[1] (bare): spec.containers: give", lines[1]);
        assert!(unread[0].starts_with(&start), "{}", unread[0]);
    }
}

#[test]
fn lists_within_lists_are_read_item_by_item_however_large() {
    let list = |items: Vec<Value>| json!({"kind": "List", "apiVersion": "v1", "items": items});
    let pods = |from: usize, count: usize| -> Vec<Value> {
        (from..from + count).map(|n| with_type(pod(&format!("p{n}")), "Pod")).collect()
    };
    let (count, broken) = (20_000, 15_000);
    let mut inner = pods(0, count);
    inner[broken]["spec"]["containers"][0]["image"] = 5.into();
    let mut typed: Vec<Value> = (0..count).map(|n| pod(&format!("q{n}"))).collect();
    typed[7]["spec"]["containers"][0]["name"] = true.into();
    // The kind of a typed list stands before or behind its items; this notation has it before.
    let typed = json!({"apiVersion": "v1", "kind": "PodList", "items": typed});
    let typed = typed.to_string().replacen(r#""items""#, r#""kind":"PodList","items""#, 1);
    let typed = typed.replacen(r#","kind":"PodList"}"#, "}", 1);
    let before = pods(count, 2).iter().map(Value::to_string).collect::<Vec<_>>().join(",");
    let after = with_type(pod("last"), "Pod");
    let text = format!(
        r#"{{"kind":"List","apiVersion":"v1","items":[{before}, {}, {typed} ,{after}]}}"#,
        list(vec![list(inner), with_type(pod("inner"), "Pod")])
    );
    for lines in [false, true] {
        let (names, mut unread) = read_file(text.as_bytes(), "f.json", lines);
        assert_eq!(names.len(), 2 * count - 2 + 4);
        assert_eq!(unread.len(), 2, "{unread:?}");
        // Several threads read the lists.
        unread.sort();
        let image = format!(
            "Some(1) Some(1) items[2].items[0].items[{broken}] (p{broken}): spec.containers[0].image"
        );
        assert!(unread[0].starts_with(&image), "{}", unread[0]);
        assert!(unread[1].starts_with("Some(1) Some(1) items[3].items[7] (q7): spec"), "{}", unread[1]);
    }
}

#[test]
fn yaml_lists_within_lists_are_read_item_by_item_however_large() {
    let item = |name: &str, indent: &str, image: &str| {
        format!(
            "{indent}- apiVersion: v1\n{indent}  kind: Pod\n{indent}  metadata: {{name: {name}}}\n{indent}  spec: \
             {{containers: [{{name: c, image: {image}}}]}}\n"
        )
    };
    let (count, broken) = (20_000, 15_000);
    let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    text += &item("first", "", "d:1");
    text += "- apiVersion: v1\n  items:\n";
    for n in 0..count {
        text += &item(&format!("p{n}"), "  ", if n == broken { "5" } else { "d:1" });
    }
    text += "  kind: List\n  metadata: {}\n";
    text += &item("last", "", "d:1");
    let line = text.lines().position(|line| line.contains("image: 5")).unwrap() + 1;
    let (names, unread) = read_file(text.as_bytes(), "f.yaml", true);
    assert_eq!((names.len(), unread.len()), (count + 1, 1), "{unread:?}");
    let last = text.lines().count() - 3;
    assert!(names.contains(&format!("Pod/last@{last}")), "{}", names.last().unwrap());
    let start =
        format!("Some(1) Some({line}) items[1].items[{broken}] (p{broken}): spec.containers[0].image");
    assert!(unread[0].starts_with(&start), "{}", unread[0]);
    // The inner list says behind its items that it is none.
    let (_, unread) = read_file(text.replacen("  kind: List", "  kind: Other", 1).as_bytes(), "f.yaml", true);
    assert!(
        unread.iter().any(|error| error.contains("items[1]: the items of a list this large")),
        "{unread:?}"
    );
}

#[test]
fn lists_nested_without_end_are_an_error_and_no_crash() {
    let depth = 20_000;
    let text =
        format!("{}{}", r#"{"kind":"List","apiVersion":"v1","items":["#.repeat(depth), "]}".repeat(depth));
    let (names, unread) = read_file(text.as_bytes(), "f.json", false);
    assert_eq!((names.len(), unread.len()), (0, 1), "{unread:?}");
}

#[test]
fn a_broken_item_is_named_with_its_index_its_name_and_its_line() {
    // More than a block, so that indices go on from piece to piece.
    let (count, broken) = (20_000, 15_000);
    let mut items: Vec<Value> = (0..count).map(|n| with_type(pod(&format!("p{n}")), "Pod")).collect();
    items[broken]["metadata"]["namespace"] = "shop".into();
    items[broken]["spec"]["containers"][0]["image"] = 5.into();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let pretty = serde_json::to_string_pretty(&list).unwrap();
    let line = pretty.lines().position(|line| line.contains("\"image\": 5")).unwrap() + 1;
    let expected = |line: usize| {
        format!(
            "Some(1) Some({line}) items[{broken}] (shop/p{broken}): spec.containers[0].image: invalid type"
        )
    };
    for (text, line) in [(list.to_string(), 1), (pretty, line)] {
        for lines in [false, true] {
            let (names, unread) = read_file(text.as_bytes(), "f.json", lines);
            assert_eq!((names.len(), unread.len()), (count - 1, 1));
            assert!(unread[0].starts_with(&expected(line)), "{}", unread[0]);
        }
    }
}

#[test]
fn the_last_of_repeated_keys_counts_in_json() {
    let pod = |name: &str, image: &str| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "{name}"}},
"spec": {{"containers": [{{"name": "c", {image}}}]}}}}"#
        )
    };
    let (good, bad) = (pod("good", r#""image": "d:1""#), pod("bad", r#""image": "d:1", "image": "d""#));
    let note = |key: &str, line: usize| {
        format!("note@{line}: the key `{key}` is repeated; the last one counts, as with kubectl")
    };
    let list = |items: &str| format!(r#"{{"apiVersion": "v1", "kind": "List", {items}}}"#);
    let last_name = good.replacen(r#""metadata""#, r#""metadata": {"name": "x"}, "metadata""#, 1);
    let unread = good.replacen(r#""spec": {"#, r#""spec": {"nodeName": "a", "nodeName": "b", "#, 1);
    for (text, expected) in [
        (bad.clone(), vec!["Pod/bad@1".to_owned(), note("image", 2)]),
        (last_name, vec!["Pod/good@1".to_owned(), note("metadata", 1)]),
        (unread, vec!["Pod/good@1".to_owned(), note("nodeName", 2)]),
        (format!("{good}\n{bad}"), vec!["Pod/bad@3".to_owned(), "Pod/good@1".to_owned(), note("image", 4)]),
        (
            list(&format!(r#""items": [], "items": [{good}]"#)),
            vec!["Pod/good@1".to_owned(), note("items", 1)],
        ),
        (list(&format!(r#""items": [{good}], "items": []"#)), vec![note("items", 2)]),
        (list(&format!(r#""items": [{bad}]"#)), vec!["Pod/bad@1".to_owned(), note("image", 2)]),
    ] {
        let (mut names, unread) = read_file(text.as_bytes(), "f.json", true);
        names.sort();
        assert_eq!((names, unread), (expected, Vec::new()), "{text}");
    }
}

#[test]
fn keys_are_found_repeated_in_a_large_json_list_too() {
    let mut items: Vec<String> =
        (0..40_000).map(|n| with_type(pod(&format!("p{n}")), "Pod").to_string()).collect();
    let mut repeat = |number: usize, from: &str, to: &str| {
        assert!(items[number].contains(from));
        items[number] = items[number].replacen(from, to, 1);
    };
    repeat(30_000, r#""image":"d:1""#, r#""image":"d:1","image":"d""#);
    repeat(30_001, r#""kind":"Pod""#, r#""kind":"Node","kind":"Pod""#);
    // No rule reads these.
    repeat(30_002, r#""spec":{"#, r#""spec":{"schedulerName":"a","schedulerName":"b","#);
    repeat(30_003, r#""labels":{"#, r#""labels":{"x":"a","x":"b","#);
    // An API server repeats no key, so its objects are not searched.
    repeat(30_004, r#""metadata":{"#, r#""metadata":{"uid":"1","#);
    repeat(30_004, r#""spec":{"#, r#""spec":{"x":"a","x":"b","#);
    let list = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n{}],\n\"metadata\": {{\"a\": 1,\n\"a\": 2}}}}",
        items.join(",\n")
    );
    for lines in [false, true] {
        let (names, unread) = read_file(list.as_bytes(), "f.json", lines);
        let (notes, names): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.starts_with("note"));
        assert_eq!((names.len(), unread.len()), (40_000, 0), "{unread:?}");
        let found: Vec<_> = notes.iter().map(|note| note.split(" is").next().unwrap()).collect();
        let expected = [
            "note@30002: the key `image`",
            "note@30003: the key `kind`",
            "note@30004: the key `schedulerName`",
            "note@30005: the key `x`",
            "note@40003: the key `a`",
        ];
        assert_eq!(found, expected);
    }
}

#[test]
fn the_last_items_of_a_large_json_list_count() {
    let items = |count: usize, name: &str| {
        let pods = (0..count).map(|n| with_type(pod(&format!("{name}{n}")), "Pod").to_string());
        pods.collect::<Vec<_>>().join(",\n")
    };
    let service = r#"{"apiVersion": "v1", "kind": "Service"}"#;
    for (first, last) in [(30_000, 2), (2, 30_000), (30_000, 30_000), (30_000, 0)] {
        let text = format!(
            "{service}\n{{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [\n{}\n],\n\"items\": [{}]\n}}\n{service}\n",
            items(first, "x"),
            items(last, "p")
        );
        let (names, unread) = read_file(text.as_bytes(), "f.json", false);
        assert_eq!(unread, [""; 0]);
        let count = |start: &str| names.iter().filter(|name| name.starts_with(start)).count();
        assert_eq!((count("Pod/x"), count("Pod/p"), count("Service")), (0, last, 2), "{first} {last}");
        let note = format!("note@{}: the key `items` is repeated", first + 4);
        assert_eq!(count(&note), 1, "{:?}", names.iter().find(|name| name.starts_with("note")));
    }
}

#[test]
fn an_error_in_a_container_has_its_line() {
    let yaml = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: a\n    image: b:1\n  - name: c\n";
    let json = "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"spec\": {\"containers\": [\n\
                {\"name\": \"a\", \"image\": \"b:1\"},\n{\"name\": \"c\"}]}}";
    let list = format!("{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n{json}]}}");
    for (text, line) in [(yaml, 7), (json, 3), (list.as_str(), 4)] {
        let (_, unread) = read_file(text.as_bytes(), "f", false);
        let expected = format!("Some(1) Some({line}) ");
        assert!(
            unread[0].starts_with(&expected) && unread[0].contains("container c has no image"),
            "{unread:?}"
        );
    }
}

#[test]
fn bytes_of_json_that_are_not_utf_8_are_replaced() {
    // More than a block, so that there are several pieces.
    let (count, odd) = (10_000, 9_000);
    let mut items: Vec<Value> = (0..count).map(|n| with_type(pod(&format!("p{n}")), "Pod")).collect();
    items[odd]["metadata"]["name"] = "caf#".into();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    for text in [list.to_string(), serde_json::to_string_pretty(&list).unwrap()] {
        let text = text.bytes().map(|byte| if byte == b'#' { 0xe9 } else { byte }).collect::<Vec<_>>();
        let (names, unread) = read_file(&text, "f.json", false);
        assert_eq!((names.len(), unread), (count, Vec::new()));
        assert!(names.contains(&"Pod/caf\u{fffd}@1".to_owned()));
    }
}

#[test]
fn a_broken_yaml_item_is_named_wherever_the_kind_stands() {
    let items = "items:\n- {apiVersion: v1, kind: Service}\n- apiVersion: v1\n  kind: Pod\n  \
                 metadata: {name: b}\n  spec:\n    containers:\n    - image: 5\n";
    let (head, tail) = ("apiVersion: v1\n", "kind: List\n");
    for (text, line) in [(format!("{head}{tail}{items}"), 10), (format!("{head}{items}{tail}"), 9)] {
        let (_, unread) = read_file(text.as_bytes(), "f.yaml", false);
        assert_eq!(unread.len(), 1);
        let expected = format!("Some(1) Some({line}) items[1] (b): spec.containers[0].image: invalid type");
        assert!(unread[0].starts_with(&expected), "{}", unread[0]);
    }
    let merged = format!(
        "x: &spec {{containers: 5}}\n{head}{tail}items:\n- {{apiVersion: v1, kind: Pod, spec: {{<<: *spec}}}}\n"
    );
    let (_, unread) = read_file(merged.as_bytes(), "f.yaml", false);
    assert!(unread[0].contains("items[0]: spec.containers: invalid type"), "{}", unread[0]);
}

#[test]
fn broken_yaml_items_are_reported_and_the_others_are_read() {
    let mut items: Vec<Value> = ["a", "b", "c", "d"].map(pod).to_vec();
    items[1]["spec"]["containers"] = "nginx".into();
    items[2]["spec"]["containers"][0]["image"] = 7.into();
    for (kind, typed) in [("PodList", false), ("List", true)] {
        let items: Vec<Value> = items
            .iter()
            .map(|item| if typed { with_type(item.clone(), "Pod") } else { item.clone() })
            .collect();
        let yaml = yaml_serde::to_string(&json!({"apiVersion": "v1", "kind": kind, "items": items})).unwrap();
        let text =
            format!("# first\n---\n{yaml}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: z}}\n{SPEC}");
        let line = |needle: &str| text.lines().position(|line| line.contains(needle)).unwrap() + 1;
        let (names, unread) = read_file(text.as_bytes(), "f.yaml", false);
        let read: Vec<&str> = names.iter().filter_map(|name| Some(name.split_once('@')?.0)).collect();
        assert_eq!(read, ["Pod/a", "Pod/d", "Pod/z"], "{kind}");
        assert_eq!(unread.len(), 2, "{unread:?}");
        let (sequence, image) = (line("containers: nginx"), line("image: 7"));
        let expected = [
            format!("Some(1) Some({sequence}) items[1] (b): spec.containers: invalid type: string \"nginx\""),
            format!(
                "Some(1) Some({image}) items[2] (c): spec.containers[0].image: invalid type: integer `7`"
            ),
        ];
        for (unread, expected) in unread.iter().zip(expected) {
            assert!(unread.starts_with(&expected), "{unread}");
        }
    }
}

#[test]
fn a_yaml_list_with_many_broken_items_reports_them_all() {
    let broken = "- {apiVersion: v1, kind: Pod, spec: {containers: 5}}\n".repeat(500);
    let text = format!("apiVersion: v1\nkind: List\nitems:\n{broken}- apiVersion: v1\n  kind: Pod\n  {SPEC}");
    let (names, unread) = read_file(text.as_bytes(), "f.yaml", false);
    assert_eq!((names.len(), unread.len()), (1, 500));
}

#[test]
fn a_syntax_error_of_yaml_has_one_place() {
    let (_, unread) = read_file(b"# a\n---\nkind: Pod\nspec: [1,\n  2\n---\n", "f.yaml", false);
    assert_eq!(unread.len(), 1);
    assert!(unread[0].contains("unclosed bracket"), "{}", unread[0]);
    assert!(!unread[0].contains(" line ") && !unread[0].contains("column"), "{}", unread[0]);
}

#[test]
fn a_syntax_error_within_an_item_is_named_with_its_item_and_line() {
    let items = ["a", "b", "c"].map(|name| with_type(pod(name), "Pod"));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let text = serde_json::to_string_pretty(&list).unwrap();
    let line = text.lines().position(|line| line.contains("\"b\"")).unwrap() + 1;
    let (names, unread) = read_file(text.replace("\"b\"", "\"b\" x").as_bytes(), "f.json", false);
    assert_eq!(names.len(), 1);
    assert_eq!(unread, [format!("Some(1) Some({line}) items[1]: expected `,` or `}}`")]);
}

#[test]
fn a_truncated_list_keeps_its_whole_items() {
    let list = format!(r#"{{"kind":"PodList","apiVersion":"v1","items":[{},{}]}}"#, pod("a"), pod("b"));
    let (names, unread) = read_file(&list.as_bytes()[..list.len() - 20], "f.json", false);
    assert_eq!(names, ["Pod/a@1"]);
    assert_eq!(unread, ["Some(1) Some(1) the list ends in the middle: was the file cut off?"]);
}

#[test]
fn input_that_is_no_manifest_gets_one_helpful_error() {
    for (content, expected) in [
        (&b""[..], "None None there is no Kubernetes object in it: it is empty or holds only comments"),
        (
            b"# nothing\n---\n",
            "None None there is no Kubernetes object in it: it is empty or holds only comments",
        ),
        (
            b"\x7fELF\0\0",
            "Some(1) Some(1) not a text file: manifests are YAML or JSON, in UTF-8 or in UTF-16 with a byte-order mark",
        ),
        (b"\xff\xfea\0", "Some(1) Some(1) invalid type: string \"a\", expected a Kubernetes object"),
        (b"a: \xff\n", "Some(1) Some(1) not a Kubernetes object: `kind` is missing"),
        (b"replicas: 1\n", "Some(1) Some(1) not a Kubernetes object: `kind` is missing"),
        (b"[1]", "Some(1) Some(1) invalid type: sequence, expected a Kubernetes object"),
        (b"{{ if .Values.a }}\nkind: Pod\n", "helm template"),
    ] {
        let (names, unread) = read_file(content, "f.yaml", false);
        assert!(names.is_empty());
        assert_eq!(unread.len(), 1, "{unread:?}");
        assert!(unread[0].contains(expected), "{}", unread[0]);
    }
    let (_, unread) = read_paths(&[Path::new("nowhere.yaml")], false);
    assert_eq!(unread, ["None None there is no such file or directory"]);
}

#[test]
fn errors_quote_only_a_little() {
    let long = "x".repeat(1_000_000);
    for text in [
        long.clone(),
        format!("\"{long}\""),
        format!("{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"spec\": \"{long}\"}}"),
        format!("{{apiVersion: v1, kind: Pod, spec: {long}}}"),
        format!("{{apiVersion: v1, kind: List, items: [{{kind: Pod, metadata: {{name: {long}}}}}]}}"),
        format!("{{apiVersion: v1, kind: Pod, metadata: {{labels: {{{long}: 5}}}}}}"),
        format!("apiVersion: v1\nkind: *{long}\n"),
        format!("{{\"kind\": {long}}}"),
    ] {
        let (names, unread) = read_file(text.as_bytes(), "f", false);
        let sizes: Vec<usize> = unread.iter().map(|error| error.chars().count()).collect();
        assert!(names.is_empty() && sizes.len() == 1 && sizes[0] < 350, "{}: {sizes:?}", &text[..60]);
    }
    let (_, unread) = read_file(long.as_bytes(), "f", false);
    assert!(unread[0].contains("string \"xxx") && unread[0].ends_with("x\", expected a Kubernetes object"));
}

#[test]
fn alias_bombs_are_refused_quickly() {
    let mut aliases = "a0: &a0 [x, x]\n".to_owned();
    for n in 1..40 {
        writeln!(aliases, "a{n}: &a{n} [*a{}, *a{}]", n - 1, n - 1).unwrap();
    }
    aliases.push_str("apiVersion: v1\nkind: Pod\nspec: {containers: *a39}\n");
    let deep = format!("apiVersion: v1\nkind: Pod\nspec: {}", "[".repeat(500_000));
    let deep_json = format!(r#"{{"apiVersion":"v1","kind":"Pod","spec":{}"#, "[".repeat(5_000_000));
    for (name, text) in [("f.yaml", aliases), ("f.yaml", deep), ("f.json", deep_json)] {
        let (names, unread) = read_file(text.as_bytes(), name, false);
        assert_eq!((names.len(), unread.len()), (0, 1), "{unread:?}");
    }
}

#[test]
fn fields_that_are_not_read_may_be_nested_as_deep_as_in_kubectl() {
    let object = |kind: &str, depth: usize| {
        let flow = "[".repeat(depth) + &"]".repeat(depth);
        format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: a}}\nx: {flow}\ny: .5\n{SPEC}")
    };
    let block = format!("apiVersion: v1\nkind: Other\nx:\n  {}1\n", "- ".repeat(9_900));
    for text in [object("Pod", 9_900), object("Other", 9_900), block] {
        let (names, unread) = read_file(text.as_bytes(), "f.yaml", false);
        assert_eq!((names.len(), unread), (1, Vec::new()));
    }
    for kind in ["Pod", "Other"] {
        let (names, unread) = read_file(object(kind, 10_001).as_bytes(), "f.yaml", false);
        assert_eq!((names.len(), unread.len()), (0, 1));
        assert!(unread[0].ends_with("nested more than 10000 levels deep"), "{}", unread[0]);
    }
}

#[test]
fn a_directory_may_hold_files_of_other_programs() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("values.yaml", "replicas: 1\n"),
        ("patch.yaml", "# of kustomize\n- op: remove\n  path: /spec/replicas\n"),
        ("patch.json", "[{\"op\": \"remove\", \"path\": \"/spec/replicas\"}]\n"),
        ("notes.txt", "not read"),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let passed_over = vec!["@1".to_owned(), "@1".to_owned(), "@2".to_owned()];
    assert_eq!(read_paths(&[directory.path()], true), (passed_over, Vec::new()));
    for name in ["patch.yaml", "patch.json"] {
        let (names, unread) = read_paths(&[&directory.path().join(name)], true);
        assert_eq!((names.len(), unread.len()), (0, 1));
        assert!(unread[0].ends_with("invalid type: sequence, expected a Kubernetes object"), "{}", unread[0]);
    }
}

#[test]
fn merge_keys_are_followed() {
    let yaml = format!(
        "apiVersion: v1\nkind: Pod\nx: &defaults {{name: merged}}\nmetadata:\n  <<: *defaults\n{SPEC}"
    );
    assert_eq!(read_file(yaml.as_bytes(), "f.yaml", false).0, ["Pod/merged@1"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_without_a_panic(content in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_file(&content, "f.yaml", false);
    }

    #[test]
    fn any_text_like_json_is_read_without_a_panic(
        tokens in proptest::collection::vec(
            prop_oneof![
                Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"items\""), Just("\"kind\""),
                Just("\"PodList\""), Just("\"apiVersion\""), Just("\"v1\""), Just("null"), Just(" "), Just("1")
            ],
            0..24,
        )
    ) {
        read_file(format!("{{\"{}", tokens.concat()).as_bytes(), "f.json", false);
    }
}
