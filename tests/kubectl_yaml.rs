//! Compares the YAML reader with a program that reads the same documents with kubectl's own code.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "kubectl_yaml/generator.rs"]
mod generator;
#[path = "kubectl_yaml/inputs.rs"]
mod inputs;
#[path = "kubectl_yaml/oracle.rs"]
mod oracle;

use std::fs;
use std::path::Path;

use kube_devops::yaml::{Document, chunks};
use serde::Deserialize;
use serde_json::Value;

/// Reads the documents of a stream as `analyze` does.
fn documents(stream: &[u8]) -> Vec<Result<Value, String>> {
    let mut found = Vec::new();
    for chunk in chunks(stream, true) {
        let read = || {
            let text = chunk.text()?;
            let document = Document::parse(&text)?;
            Value::deserialize(document.root())
        };
        match read() {
            Ok(Value::Null) => {}
            read => found.push(read.map_err(|error: kube_devops::yaml::Error| error.to_string())),
        }
    }
    found
}

/// Compares a stream's documents with kubectl's, up to kubectl's first error, with which it stops.
fn difference(stream: &[u8], kubectl: &[Result<Value, String>]) -> Option<String> {
    let ours = documents(stream);
    let told = |found: Option<&Result<Value, String>>| match found {
        None => "nothing".to_owned(),
        Some(Ok(value)) => value.to_string(),
        Some(Err(error)) => format!("error: {error}"),
    };
    for at in 0..kubectl.len().max(ours.len()) {
        let (theirs, own) = (kubectl.get(at), ours.get(at));
        match (theirs, own) {
            (Some(Ok(theirs)), Some(Ok(own))) if oracle::same(theirs, own) => {}
            (Some(Err(_)), Some(Err(_))) => return None,
            // kubectl drops the document before a wrong separator.
            (Some(Err(error)), Some(Ok(_)))
                if error.contains("separator") && matches!(ours.get(at + 1), Some(Err(_))) =>
            {
                return None;
            }
            (Some(Ok(_)) | None, Some(Err(error))) if known(REFUSED, error) => return None,
            (Some(Err(error)), Some(Ok(_)) | None) if known(TAKEN, error) => return None,
            // A document that is a single string is no object, so its exact text doesn't matter.
            (Some(Ok(Value::String(_))), Some(Ok(Value::String(_)))) => {}
            _ => {
                return Some(format!("document {at}\n  kubectl: {}\n  here:    {}", told(theirs), told(own)));
            }
        }
    }
    None
}

fn known(differences: &[(&str, &str)], error: &str) -> bool {
    differences.iter().any(|(part, _)| error.contains(part))
}

/// Errors for documents that kubectl accepts, each with an example. The parser reads YAML 1.2, so everything that it
/// would read differently is refused.
const REFUSED: &[(&str, &str)] = &[
    ("comments must be separated from other tokens", "a: \"b\"#c"),
    ("within brackets and braces", "[?a], [a:], [!!str ]"),
    ("did not find expected ',' or '}'", "{a: b:}"),
    ("plain scalar cannot start with '-'", "[-]"),
    ("did not find expected whitespace or line break", "!,x a"),
    ("did not find expected tag URI", "!!]str a"),
    ("the anchor `", "&a:b c"),
    ("unexpected character: `%'", "&a:b\n %c"),
    ("found unknown escape character", "\"\\'\""),
    ("wrongly indented line in block scalar", "a: |2\n # b"),
    ("simple key expected ':'", "a:\n|\n  b"),
    ("mismatched bracket", "{a: !]!str b}"),
    ("a byte-order mark may stand only at the beginning", "# a\n\u{feff}b: c"),
    // kubectl skips everything after the first document.
    ("comment intercepting the multiline text", "a # b\nc: d"),
    ("invalid trailing content after", "\"a\" b"),
    ("invalid content after document end marker", "a: b\n... c"),
    ("misplaced bracket", "~ ]"),
    ("is only valid inside a block", "[] [\n- a"),
    ("unclosed bracket", "[]{"),
    ("a key can't be a list or a map", "{a: b}: c"),
];

/// Errors of kubectl for documents that are accepted here, each with an example.
const TAKEN: &[(&str, &str)] = &[
    // NEL, LS and PS break lines in YAML 1.1.
    ("could not find expected ':'", "a: b\u{2028}c"),
    ("did not find expected whitespace or line break", "!#a b"),
    ("did not find expected tag URI", "!!#a b"),
    ("did not find expected alphabetic or numeric character", "&a[b]"),
    ("did not find expected key", "&a *b: c"),
    ("found unexpected end of stream", "|\n\"a"),
];

fn compare(streams: &[Vec<u8>]) {
    let Some(kubectl) = oracle::read(streams) else { return };
    let differences: Vec<String> = streams
        .iter()
        .zip(&kubectl)
        .filter_map(|(stream, kubectl)| {
            let difference = difference(stream, kubectl)?;
            Some(format!("---- {:?}\n{difference}", String::from_utf8_lossy(stream)))
        })
        .collect();
    assert!(
        differences.is_empty(),
        "{} of {} streams differ:\n{}",
        differences.len(),
        streams.len(),
        differences[..differences.len().min(SHOWN)].join("\n")
    );
}

/// The largest number of differences that are shown.
const SHOWN: usize = 20;

#[test]
fn the_samples_are_read_as_in_kubectl() {
    let mut streams = Vec::new();
    for directory in ["kube-tests", "kube-tests/policies", "tests/fixtures/rules"] {
        samples(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), &mut streams);
    }
    assert!(streams.len() > 10);
    compare(&streams);
}

fn samples(directory: &Path, streams: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            samples(&path, streams);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            streams.push(fs::read(path).unwrap());
        }
    }
}

#[test]
fn every_notation_is_read_as_in_kubectl() {
    compare(&inputs::all());
}

#[test]
fn generated_documents_are_read_as_in_kubectl() {
    let repeats = |stream: &[u8]| {
        let texts = chunks(stream, true).filter_map(|chunk| chunk.text().ok());
        texts
            .into_iter()
            .any(|text| Document::parse(&text).is_ok_and(|document| !document.repeated().is_empty()))
    };
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let seed = std::env::var("KUBE_DEVOPS_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut streams = generator::streams(seed.unwrap_or(SEED), GENERATED);
    // kubectl picks any of keys such as 1 and 1.0, which are one key in JSON. Other repeats are among the spellings.
    streams.retain(|stream| !repeats(stream) && !begins_with_json(stream));
    assert!(streams.len() > GENERATED / 2);
    compare(&streams);
}

/// Returns true if a JSON object begins a stream that goes on. Such a stream is cut before its YAML is read.
fn begins_with_json(stream: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(stream).into_iter::<Value>();
    matches!(values.next(), Some(Ok(Value::Object(_))))
        && !stream[values.byte_offset()..].trim_ascii().is_empty()
}

const SEED: u64 = 0x5eed;
/// The number of streams that are generated.
const GENERATED: usize = 20_000;
