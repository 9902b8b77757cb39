//! Tells whether Helm can check the values of a chart without reading anything else.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The file with the JSON Schema of a chart's values.
const SCHEMA: &str = "values.schema.json";
/// The keywords of JSON Schema that refer to another schema.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
/// The start of the names of JSON Schema's own versions, which Helm has built in.
const VERSIONS: [&str; 2] = ["http://json-schema.org/", "https://json-schema.org/"];

/// Returns true if the schemas of a chart and of the charts in its directory `charts` refer to nothing outside them.
///
/// Helm would download another schema. A packed chart counts as one that does, because it is not unpacked here.
pub(super) fn are_local(chart: &Path) -> bool {
    let mut seen = BTreeSet::new();
    let mut charts = vec![chart.to_owned()];
    while let Some(chart) = charts.pop() {
        let Ok(chart) = chart.canonicalize() else { continue };
        if !seen.insert(chart.clone()) {
            continue;
        }
        if !is_local(&chart.join(SCHEMA)) {
            return false;
        }
        let subcharts = fs::read_dir(chart.join("charts")).into_iter().flatten().flatten();
        let subcharts: Vec<PathBuf> = subcharts.map(|entry| entry.path()).collect();
        if subcharts.iter().any(|path| path.extension() == Some(OsStr::new("tgz"))) {
            return false;
        }
        charts.extend(subcharts.into_iter().filter(|path| path.is_dir()));
    }
    true
}

fn is_local(schema: &Path) -> bool {
    let Ok(text) = fs::read(schema) else { return true };
    serde_json::from_slice(&text).is_ok_and(|schema| refers_to_itself(&schema))
}

/// Returns true if each reference within a schema leads to a place in the same schema.
fn refers_to_itself(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => fields.iter().all(|(name, value)| {
            let is_local = match value.as_str() {
                Some(target) if REFERENCES.contains(&name.as_str()) => target.starts_with('#'),
                Some(version) if name == "$schema" => VERSIONS.iter().any(|known| version.starts_with(known)),
                _ => true,
            };
            is_local && refers_to_itself(value)
        }),
        Value::Array(values) => values.iter().all(refers_to_itself),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_is_local_if_all_its_references_are() {
        let version = "http://json-schema.org/draft-07/schema#";
        assert!(refers_to_itself(
            &json!({ "$schema": version, "properties": { "a": { "$ref": "#/$defs/a" } } })
        ));
        for target in ["http://127.0.0.1:8080/a.json", "file:///etc/hostname", "other.json"] {
            assert!(!refers_to_itself(&json!({ "allOf": [{ "$ref": target }] })), "{target}");
            assert!(!refers_to_itself(&json!({ "$schema": target })), "{target}");
        }
    }

    #[test]
    fn the_schemas_of_subcharts_count_and_packed_ones_are_unknown() {
        let chart = tempfile::tempdir().unwrap();
        let subchart = chart.path().join("charts/sub");
        fs::create_dir_all(&subchart).unwrap();
        assert!(are_local(chart.path()));
        fs::write(subchart.join(SCHEMA), r#"{"$ref":"https://example.com/a.json"}"#).unwrap();
        assert!(!are_local(chart.path()));
        fs::write(subchart.join(SCHEMA), "{}").unwrap();
        assert!(are_local(chart.path()));
        fs::write(chart.path().join("charts/packed-1.0.0.tgz"), "").unwrap();
        assert!(!are_local(chart.path()));
    }
}
