//! YAML objects equal those that kubectl would send, and all others are reported with their place.

use std::fmt::Write as _;

use super::*;
use crate::files::{Place, Source, read};
use crate::workload::{Object, Parsed};

/// Lists workloads as `name image@line`, other objects as `kind@line`, and notes.
struct Images;

impl Consumer for Images {
    type Part = Vec<String>;

    fn part(&self) -> Vec<String> {
        Vec::new()
    }

    fn add(&self, part: &mut Vec<String>, object: &Object<'_>, place: Place<'_>) {
        part.push(match &object.parsed {
            Parsed::Workload(workload) => {
                let image = workload.pod.containers[0].image.as_deref().unwrap_or("none");
                format!("{} {image}@{}", workload.name(), place.line)
            }
            _ => format!("{}@{}", object.types.kind, place.line),
        });
    }

    fn note(&self, part: &mut Vec<String>, place: Place<'_>, message: &str) {
        part.push(format!("note@{}: {message}", place.line));
    }

    fn merge(&self, into: &mut Vec<String>, part: Vec<String>) {
        into.extend(part);
    }
}

/// Returns the objects of a text, and the errors as `line: message`.
fn found(text: impl AsRef<[u8]>) -> (Vec<String>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.yaml");
    std::fs::write(&path, text).unwrap();
    let mut all = (Vec::new(), Vec::new());
    for found in read(&[], vec![Source::File(path)], true, &Images) {
        all.0.extend(found.part);
        all.1.extend(
            found
                .unread
                .into_iter()
                .map(|unread| format!("{}: {}", unread.line.unwrap_or_default(), unread.message)),
        );
    }
    all.0.sort();
    all
}

/// Returns the objects of a text without errors.
fn objects(text: impl AsRef<[u8]>) -> Vec<String> {
    let (objects, errors) = found(text);
    assert_eq!(errors, Vec::<String>::new());
    objects
}

/// Returns the only error of a text.
fn error(text: impl AsRef<[u8]>) -> String {
    let (_, errors) = found(text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().unwrap()
}

fn pod(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers:\n  - name: c\n    image: {image}\n"
    )
}

#[test]
fn a_separator_may_have_a_comment_and_no_content() {
    let text = format!("---# Source: a\n{}---# Source: b\n{}", pod("a", "i:1"), pod("b", "i:2"));
    assert_eq!(objects(text), ["a i:1@1", "b i:2@10"]);
    let text = format!("{}---{}---\n{}", pod("a", "i:1"), pod("b", "i:2"), pod("c", "i:3"));
    let (objects, errors) = found(text);
    assert_eq!(objects, ["a i:1@1", "c i:3@16"]);
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with("8: invalid document separator: put `apiVersion: v1` on a line"),
        "{errors:?}"
    );
}

#[test]
fn the_last_of_repeated_keys_counts_and_each_is_noted() {
    let text = format!(
        "{}    image: i:2\nmetadata: {{name: b}}\nstatus:\n  x:\n  - {{z: 1, z: 2, \"z\": 3}}\n",
        pod("a", "i:1")
    );
    let note = |line: usize, key: &str| {
        format!("note@{line}: the key `{key}` is repeated; the last one counts, as with kubectl")
    };
    let expected =
        ["b i:2@1".to_owned(), note(12, "z"), note(12, "z"), note(8, "image"), note(9, "metadata")];
    assert_eq!(objects(text), expected);
}

#[test]
fn merge_keys_are_followed_unless_quoted() {
    for key in ["<<:", "<< :", "!!merge <<:", "? <<\n    :", "!!merge \"<<\" :"] {
        let text = format!("x: &x\n  image: i:1\n{}    {key} *x\n", pod("a", "i:2"));
        assert_eq!(objects(text), ["a i:1@1"], "{key}");
    }
    for key in ["\"<<\":", "'<<':", "!!str <<:"] {
        let text = format!("x: &x\n  image: i:1\n{}    {key} *x\n", pod("a", "i:2"));
        assert_eq!(objects(text), ["a i:2@1"], "{key}");
    }
    let text = pod("a", "i:2")
        .replace("image: i:2", "<<: [{image: i:1}, {image: i:3}]\n    <<: {imagePullPolicy: Always}");
    assert_eq!(objects(text), ["a i:1@1"]);
    assert!(error(pod("a", "i").replace("image: i", "<<: 1")).starts_with("7: a merge key (<<) takes a map"));
}

#[test]
fn a_value_of_a_wrong_type_is_named_with_its_line_and_fix() {
    for (text, expected) in [
        (
            pod("a", "yes"),
            "7: spec.containers[0].image: invalid type: boolean `true`, expected a string; write \"yes\" in quotes",
        ),
        (
            pod("a", "1.2"),
            "7: spec.containers[0].image: invalid type: floating point `1.2`, expected a string; write \"1.2\" in quotes",
        ),
        (
            pod("010", "i"),
            "3: metadata.name: invalid type: integer `8`, expected a string; write \"010\" in quotes",
        ),
        (
            pod("a", "i").replace("{name: a}", "{name: a, labels: {app: on}}"),
            "3: metadata.labels.app: invalid type: boolean `true`, expected a string; write \"on\" in quotes",
        ),
    ] {
        assert_eq!(error(text), expected);
    }
}

#[test]
fn numbers_and_booleans_of_yaml_1_1_match_kubectl() {
    let text = pod("a", "i:1")
        .replace("{name: a}", "{name: a, ownerReferences: [{kind: ReplicaSet, name: r, controller: yes}]}")
        + "    resources: {limits: {memory: 128_000_000, cpu: 0x1}}\n";
    assert_eq!(objects(text), ["a i:1@1"]);
}

#[test]
fn utf_16_is_read_and_invalid_bytes_are_replaced() {
    let text = format!("{}---\n\u{feff}{}", pod("a", "i:1"), pod("b", "i:2"));
    assert_eq!(objects(&text), ["a i:1@1", "b i:2@9"]);
    let utf16 = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    assert_eq!(objects(utf16), ["a i:1@1", "b i:2@9"]);
    let mut bytes = pod("a", "i:1").into_bytes();
    bytes.extend_from_slice(b"x: \"\xff\"\n");
    assert_eq!(objects(bytes), ["a i:1@1"]);
}

#[test]
fn deep_nesting_is_refused_quickly_but_brackets_in_strings_are_not() {
    let text = format!("apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n{}", "    [0m[1m{{(\n".repeat(5_000));
    assert_eq!(objects(text), ["ConfigMap@1"]);
    for nested in ["[".repeat(200_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        error(format!("kind: Pod\napiVersion: v1\nx:\n {nested}"));
    }
}

#[test]
fn a_broken_item_of_a_nested_list_does_not_affect_others() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: PodList\n  items:\n  - metadata: {name: a}\n    \
                spec: {containers: [{name: c, image: i:1}]}\n  - metadata: {name: b}\n    spec: {containers: x}\n- \
                apiVersion: v1\n  kind: Service\n";
    let (objects, errors) = found(text);
    assert_eq!(objects, ["Service@11", "a i:1@7"]);
    assert_eq!(
        errors,
        ["10: items[0].items[1] (b): spec.containers: invalid type: string \"x\", expected a sequence"]
    );
}

/// Returns a list of pods that is larger than a block, with indented items.
fn large_list(above: &str, below: &str, indent: &str, broken: usize) -> String {
    let mut list = format!("{above}items:\n");
    for number in 0..20_000 {
        let image = if number == broken { "5" } else { "i:1" };
        for (line, text) in pod(&format!("p{number}"), image).lines().enumerate() {
            let _ = writeln!(list, "{indent}{}{text}", if line == 0 { "- " } else { "  " });
        }
    }
    list + below
}

#[test]
fn a_large_list_in_blocks_has_the_same_lines_and_errors() {
    for (above, below, indent) in [
        ("apiVersion: v1\n", "kind: List\nmetadata:\n  resourceVersion: \"\"\n", ""),
        ("---\n# all\napiVersion: v1\nkind: List\n", "# end\n", "  "),
    ] {
        let list = large_list(above, below, indent, 15_000);
        let first = above.lines().count() + 2;
        let text = format!("{list}---\n{}", pod("after", "i:2"));
        let (objects, errors) = found(&text);
        assert_eq!(objects.len(), 20_000);
        for number in [0, 19_999] {
            let line = first + 7 * number;
            assert!(objects.contains(&format!("p{number} i:1@{line}")), "{number}");
        }
        assert!(objects.contains(&format!("after i:2@{}", list.lines().count() + 2)));
        let line = first + 7 * 15_000 + 6;
        assert_eq!(
            errors,
            [format!(
                "{line}: items[15000] (p15000): spec.containers[0].image: invalid type: integer `5`, expected a \
                 string; write \"5\" in quotes"
            )]
        );
    }
}

#[test]
fn the_text_around_the_items_of_a_large_list_is_read() {
    let (_, errors) = found(large_list("apiVersion: v1\n", "kind: Bundle\n", "", 20_001));
    assert!(errors.len() == 1 && errors[0].contains("put `kind: List`"), "{errors:?}");
    let list = large_list("apiVersion: v1\nkind: List\n", "kind: List\nmetadata: [\n", "", 20_001);
    let (_, errors) = found(&list);
    assert!(errors.len() == 1 && errors[0].starts_with(&format!("{}: ", list.lines().count())), "{errors:?}");
    let (objects, _) = found(large_list("apiVersion: v1\nkind: List\n", "kind: List\n", "", 20_001));
    let note = format!("note@{}: the key `kind`", 3 + 7 * 20_000 + 1);
    assert!(objects.iter().any(|object| object.starts_with(&note)));
}

/// Returns a list of pods in flow style that is larger than a block, with an item a line.
fn large_flow_list(above: &str, below: &str, broken: usize) -> String {
    let item = |number: usize| {
        let image = if number == broken { "5" } else { "i:1" };
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p{number}}}, spec: {{containers: [{{name: c, image: {image}}}]}}}}"
        )
    };
    let items: Vec<_> = (0..20_000).map(item).collect();
    format!("{above}\n{}{below}", items.join(",\n"))
}

#[test]
fn a_large_list_in_flow_style_has_the_same_lines_and_errors() {
    for (above, below) in [
        ("apiVersion: v1\nkind: List\nitems: [", "]\n"),
        ("apiVersion: v1\nitems:\n  # all\n  [", ",\n  ]\nkind: List\n"),
        ("---\n{apiVersion: v1, items: [", "\n], kind: List}\n"),
        ("{'apiVersion': v1, \"kind\": List, \"items\":[", ", # the end ]\n]}\n"),
    ] {
        let list = large_flow_list(above, below, 15_000);
        let first = above.lines().count() + 1;
        let text = format!("{list}---\n{}", pod("after", "i:2"));
        let (objects, errors) = found(&text);
        assert_eq!(objects.len(), 20_000, "{above}: {errors:?}");
        for number in [0, 1, 19_999] {
            let line = first + number;
            assert!(objects.contains(&format!("p{number} i:1@{line}")), "{above}: {number}");
        }
        assert!(objects.contains(&format!("after i:2@{}", list.lines().count() + 2)), "{above}");
        let line = first + 15_000;
        let error =
            format!("{line}: items[15000] (p15000): spec.containers[0].image: invalid type: integer `5`");
        assert!(errors.len() == 1 && errors[0].starts_with(&error), "{above}: {errors:?}");
    }
}

#[test]
fn the_text_around_the_items_of_a_large_flow_list_is_read() {
    let (_, errors) = found(large_flow_list("apiVersion: v1\nitems: [", "]\nkind: Bundle\n", 20_001));
    assert!(errors.len() == 1 && errors[0].contains("put `kind: List`"), "{errors:?}");
    let (objects, errors) =
        found(large_flow_list("apiVersion: v1\nkind: List\nitems: [", "\n]\nkind: List\n", 20_001));
    assert_eq!(errors, [""; 0]);
    let note = |line: usize| format!("note@{line}: the key `kind` is repeated");
    assert!(objects.iter().any(|object| object.starts_with(&note(3 + 20_000 + 2))), "{:?}", objects.last());
    let (_, errors) = found(large_flow_list("apiVersion: v1\nkind: List\nitems: [", "", 20_001));
    assert!(!errors.is_empty(), "the list is cut off");
}
