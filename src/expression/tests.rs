//! Tests of expressions: answers, errors with their reasons, refusals with their places, and limits.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

const VARIABLES: &[&str] = &["object", "params"];

fn answer(text: &str) -> Result<bool, String> {
    let object = json!({
        "kind": "Deployment",
        "metadata": { "name": "web", "labels": { "app": "web", "team.example.com/name": "a" } },
        "spec": { "replicas": 3, "ratio": 0.5, "off": false, "none": null, "containers": [
            { "name": "a", "image": "nginx:1.27" }, { "name": "b", "image": "redis", "ports": [80, 443] },
        ] },
    });
    let expression = Expression::parse(text, VARIABLES).map_err(|error| error.to_string())?;
    expression.evaluate(&[Some(&object), Some(&json!({ "max": 5 }))]).map_err(|error| error.to_string())
}

#[test]
fn expressions_are_true_or_false() {
    for text in [
        "object.kind == 'Deployment' && object.spec.replicas <= params.max",
        "has(object.spec.replicas) && !has(object.spec.paused)",
        "!has(object.spec.replicas.x) && !has(object.spec.none.x) && !has(object.kind.x)",
        "object.spec.containers.all(c, c.image.startsWith('nginx') || c.name == \"b\")",
        "object.spec.containers.exists(c, has(c.ports) && 443 in c.ports)",
        "object.spec.containers.exists_one(c, c.name == 'a')",
        "object.spec.containers.filter(c, has(c.ports)).map(c, c.name) == ['b']",
        "object.spec.containers.map(c, has(c.ports), c.ports[0]) == [80]",
        "object.metadata.labels['team.example.com/name'] in ['a', 'b']",
        "'app' in object.metadata.labels && object.metadata.labels.exists(k, k.startsWith('team.'))",
        "size(object.spec.containers) == 2 && object.metadata.name.size() == 3",
        "object.spec.ratio < 1 && object.spec.replicas > 2.5 && object.spec.replicas == 3.0",
        "object.spec.none == null && object.spec.off != true",
        "object.spec.off ? object.nothing : true",
        "object.metadata.name.matches('^[a-z\\\\d-]+$') && !'é'.matches(r'\\w')",
        "'a,b,c'.split(',').join('-') == 'a-b-c' && ' x '.trim() == 'x'",
        "'tacocat'.lastIndexOf('c') == 4 && 'tacocat'.substring(1, 3) == 'ac' && 'x'.upperAscii() == 'X'",
        "['a', 'b', 'a'].indexOf('a') == 0 && [1, 2, 1.0].lastIndexOf(1) == 2 && [].indexOf('a') == -1",
        "string(1e6) == '1e+06' && string(0.5) == '0.5' && string(100000.0) == '100000' && int('-7') == -7",
        "7 / 2 == 3 && -7 % 3 == -1 && 2u + 3u == 5u && 1 + 2 * 3 == 7",
        "{'a': 1, 2: 'b'}[2] == 'b' && {'a': [1, {'b': 2.0}]} == {'a': [1.0, {'b': 2}]}",
        "object.nothing == 1 || true",
        "!(object.nothing in [])",
        "true || object.nothing == 1",
        "!(object.nothing == 1 && false)",
        "[1, 2, 3].exists(x, x / 0 == 1 || x == 3)",
        "object.spec.containers.all(x, object.spec.containers.exists(y, x.name == y.name))",
    ] {
        assert_eq!(answer(text), Ok(true), "{text}");
        assert_eq!(answer(&format!("!({text})")), Ok(false), "{text}");
    }
}

#[test]
fn what_does_not_apply_is_an_error_with_a_reason() {
    for (text, reason) in [
        ("object.spec.paused", "no such key: paused"),
        ("object.kind.name == 'x'", "a text has no field name"),
        ("has(object.spec.containers.x)", "a list has no field x"),
        ("object.spec.replicas", "its result is an integer, and has to be true or false"),
        ("object.spec.replicas + 'a' == ''", "+ does not apply to an integer and a text"),
        ("object.spec.replicas < 'a'", "can't compare an integer with a text"),
        ("object.spec.containers[2].name == ''", "the list has no item 2"),
        (
            "9223372036854775807 + object.spec.replicas > 0",
            "the result of a calculation does not fit into 64 bits",
        ),
        ("object.spec.replicas / 0 == 1", "division by zero"),
        ("object.spec.replicas && true", "expected true or false, found an integer"),
        ("object.spec.replicas.size() == 1", "an integer has no size"),
        ("object.spec.none.all(x, true)", "null has no items to visit"),
        ("int(object.kind) == 1", "can't convert \"Deployment\" into an integer"),
    ] {
        assert_eq!(answer(text), Err(reason.to_owned()), "{text}");
    }
}

#[test]
fn an_expression_outside_the_subset_is_refused_with_the_place() {
    for (text, reason) in [
        ("", "line 1, column 1: it is empty"),
        ("object.kind ==", "line 1, column 15: found the end, expected a value"),
        (
            "true &&\n  oldObject.kind == 'x'",
            "line 2, column 3: there is no variable oldObject; the variables are object, params",
        ),
        ("object.kind.format()", "there is no function format in the subset"),
        ("quantity('1') == 1", "there is no function quantity in the subset"),
        ("object.kind.startsWith()", "startsWith takes another number of arguments than 0"),
        (
            "object.kind.matches(params.pattern)",
            "line 1, column 27: the pattern of matches has to be written out",
        ),
        ("object.kind.matches('(')", "not a valid regular expression: unclosed group"),
        ("b'a' == b'a'", "bytes are not in the subset"),
        ("has(object)", "has takes a field"),
        ("Pod{name: 'a'} == object", "objects of the type Pod are not in the subset"),
    ] {
        let error = answer(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn long_and_deep_expressions_are_refused_and_costly_ones_end() {
    let long = format!("'{}' == ''", "a".repeat(MAX_LENGTH));
    assert!(answer(&long).unwrap_err().contains("it has more than 4096 characters"));
    for (open, close) in [("(", ")"), ("[", "]"), ("!(", ")"), ("true ? true : (", ")"), ("[1].all(x, ", ")")]
    {
        let deep = format!("{}true{}", open.repeat(200), close.repeat(200));
        assert!(answer(&deep).is_err(), "{open}");
    }
    for chain in ["1+", "-", "!", "true?true:", "object.a.", "[", "{1:", "(", "'", "a.b("] {
        let text = format!("{}1", chain.repeat(MAX_LENGTH / chain.len() - 1));
        assert!(answer(&text).is_err(), "{chain}");
    }
    let numbers = format!("[{}]", vec!["1"; 300].join(","));
    for costly in [
        format!("{numbers}.all(a, {numbers}.all(b, {numbers}.all(c, true)))"),
        format!("{numbers}.map(a, {numbers}.map(b, {numbers})) == []"),
        format!("{numbers}.all(a, 'aaaaaaaaaaaaaaaaaaaa'.replace('a', '{}').size() > 0)", "b".repeat(500)),
    ] {
        assert_eq!(answer(&costly), Err("it takes more than 20000 steps".to_owned()));
    }
}

#[test]
fn patterns_mean_what_they_mean_to_the_api_server() {
    for (text, pattern, matches) in [
        ("٣", r"\d", false),
        ("3", r"^\d$", true),
        ("a[b", r"a[[]b", true),
        ("a&&b", r"^a[&&]+b$", true),
        ("a-b", r"a[+--]b", true),
        ("]", r"^[]a]$", true),
        ("b", r"^[^]a]$", true),
        ("x", r"^[[:alpha:]]$", true),
        ("7", r"^[^[:alpha:]\s]$", true),
        ("a b", r"^a\sb$", true),
        ("a\u{a0}b", r"^a\sb$", false),
        ("né", r"n\b", true),
    ] {
        assert_eq!(super::pattern::compile(pattern).unwrap().is_match(text), matches, "{pattern}");
    }
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-3..4_i64).prop_map(Json::from),
        Just(json!(0.5)),
        "[a-c]{0,2}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_fail_badly(text in "[a-z0-9.()\\[\\]{}'\"?:!&|=<>+*/%, \\\\-]{0,60}") {
        if let Err(error) = Expression::parse(&text, VARIABLES) {
            prop_assert!(!error.problem.contains("the parser can't"), "{text}: {error}");
            prop_assert!(!error.problem.contains("something else"), "{text}: {error}");
            let names_tokens = ["Syntax error", "EOF", "IDENTIFIER", "NUM_", "expecting"];
            prop_assert!(!names_tokens.iter().any(|name| error.problem.contains(name)), "{text}: {error}");
        }
    }

    #[test]
    fn equality_is_an_equivalence(a in json(), b in json()) {
        let equal = Expression::parse("object == params", VARIABLES).unwrap();
        prop_assert_eq!(equal.evaluate(&[Some(&a), Some(&a)]), Ok(true));
        prop_assert_eq!(equal.evaluate(&[Some(&a), Some(&b)]), equal.evaluate(&[Some(&b), Some(&a)]));
    }
}
