//! A result of SARIF, which is written many times: its parts are borrowed, and no JSON is built in memory.

use std::fmt::{self, Display};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, Serializer};

use crate::governance::ViolationRow;
use crate::rules::{RuleId, Severity};

/// The characters of a file name that a URI holds as they are.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A violation as a result.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding<'r> {
    level: &'static str,
    locations: [Location<'r>; 1],
    message: Message<Text<'r>>,
    partial_fingerprints: Fingerprint<'r>,
    properties: Properties,
    rule_id: RuleId,
    rule_index: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'r> {
    logical_locations: [Logical<'r>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<Physical<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical<'r> {
    fully_qualified_name: &'r str,
    kind: &'static str,
    name: &'r str,
}

/// A place in a file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Physical<'r> {
    artifact_location: Artifact<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact<'r> {
    uri: Uri<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
}

/// A message of one text.
#[derive(Serialize)]
pub(super) struct Message<T> {
    pub(super) text: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fingerprint<'r> {
    #[serde(rename = "kubeDevops/v1")]
    value: &'r str,
    /// The only fingerprint that GitHub compares:
    /// <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>.
    primary_location_line_hash: &'r str,
}

#[derive(Serialize)]
struct Properties {
    severity: Severity,
}

/// The text of a result: the object, the container and the problem.
struct Text<'r> {
    object: &'r str,
    container: Option<&'r str>,
    message: &'r str,
}

/// The URI of a file, or a URL.
struct Uri<'r>(&'r str);

impl<'r> Finding<'r> {
    /// Makes the result of a violation in an object; `file` is named from the root of the repository.
    pub(super) fn new(
        violation: &ViolationRow<'r>,
        object: &'r str,
        rule_index: Option<usize>,
        fingerprint: &'r str,
        file: Option<&'r str>,
    ) -> Self {
        let ViolationRow { container, rule, severity, message, path, source, .. } = *violation;
        let place = file.zip(source);
        Self {
            level: level(severity),
            locations: [Location {
                logical_locations: [Logical { fully_qualified_name: object, kind: "resource", name: path }],
                physical_location: place
                    .map(|(file, source)| Physical::new(file, Some(source.line as usize))),
            }],
            message: Message { text: Text { object, container, message } },
            partial_fingerprints: Fingerprint { value: fingerprint, primary_location_line_hash: fingerprint },
            properties: Properties { severity },
            rule_id: rule,
            rule_index,
        }
    }
}

impl<'r> Physical<'r> {
    /// Makes a place in a file. A relative path is relative to the root of the repository.
    pub(super) fn new(file: &'r str, line: Option<usize>) -> Self {
        let is_relative = !file.contains("://") && !file.starts_with('/');
        let uri_base_id = is_relative.then_some("%SRCROOT%");
        let region = line.map(|start_line| Region { start_line });
        Self { artifact_location: Artifact { uri: Uri(file), uri_base_id }, region }
    }
}

/// Returns the level that stands for a severity.
pub(super) fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.object)?;
        if let Some(container) = self.container {
            write!(f, ", container {container}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Uri<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(file) = self;
        if file.contains("://") {
            return serializer.serialize_str(file);
        }
        let scheme = if file.starts_with('/') { "file://" } else { "" };
        serializer.collect_str(&format_args!("{scheme}{}", utf8_percent_encode(file, PATH)))
    }
}
