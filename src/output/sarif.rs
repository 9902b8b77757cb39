//! The report as SARIF 2.1.0, for code scanning.
//!
//! GitHub takes at most 25,000 results and 10 MB of a file, so the results are cut there, the worst first. Sources: the
//! SARIF standard, <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>, and
//! <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>.

use std::io::{self, Write};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::fingerprint::Fingerprints;
use crate::governance::{Report, ReportError, ViolationRow};
use crate::rules::{self, Category, Rule, RuleId, Severity};
use crate::workload::count;

/// The maximum number of results.
const MOST_RESULTS: usize = 25_000;
/// The maximum size of all results in bytes, with room for the rest of the file.
const MOST_BYTES: usize = 9_500_000;
/// The characters of a file name that a URI holds as they are.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let enabled: Vec<RuleId> = report.summary.counts.keys().copied().collect();
    let descriptors: Vec<Value> = enabled
        .iter()
        .filter_map(|id| rules::known(id.as_str()))
        .map(|rule| descriptor(rule, report))
        .collect();
    let driver = json!({
        "name": "kube-devops",
        "version": env!("CARGO_PKG_VERSION"),
        "rules": descriptors,
    });
    write!(
        out,
        "{{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{{\
         \"tool\":{},\"columnKind\":\"unicodeCodePoints\",\"results\":[",
        json!({ "driver": driver })
    )?;
    let (mut written, mut bytes, mut left_out) = (0, 0, 0);
    let mut fingerprints = Fingerprints::default();
    for violation in report.violations.iter() {
        if left_out > 0 || written == MOST_RESULTS {
            left_out += 1;
            continue;
        }
        let index = enabled.iter().position(|rule| *rule == violation.rule);
        let text = result(&violation, index, &fingerprints.next(&violation)).to_string();
        if bytes + text.len() > MOST_BYTES {
            left_out += 1;
            continue;
        }
        let separator = if written == 0 { "\n" } else { ",\n" };
        write!(out, "{separator}{text}")?;
        (written, bytes) = (written + 1, bytes + text.len());
    }
    let mut notifications: Vec<Value> = report.errors.iter().map(notification).collect();
    notifications.extend(report.exempt.iter().filter(|exempt| exempt.matters()).map(|exempt| {
        let level = if exempt.expired { "warning" } else { "note" };
        json!({ "level": level, "message": { "text": exempt.to_string() } })
    }));
    if left_out > 0 {
        let results = count(left_out, "less severe result is", "less severe results are");
        let text = format!("{results} left out: at most {MOST_RESULTS} results and 10 MB are accepted");
        notifications.push(json!({ "level": "warning", "message": { "text": text } }));
    }
    let invocation = json!({
        "executionSuccessful": !report.summary.partial,
        "toolExecutionNotifications": notifications,
    });
    writeln!(out, "],\n\"invocations\":[{invocation}]}}]}}")
}

fn descriptor(rule: &'static Rule, report: &Report) -> Value {
    let severity = report.severity_of(rule);
    let mut properties = json!({ "tags": [rule.category.to_string()] });
    // GitHub reads the score of a rule only if the rule has this tag.
    if let Category::Security | Category::Rbac = rule.category {
        properties["tags"] = json!(["security"]);
        properties["security-severity"] = json!(security_severity(severity));
    }
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.summary },
        "help": { "text": rule.docs, "markdown": rule.docs },
        "defaultConfiguration": { "level": level(severity) },
        "properties": properties,
    })
}

/// Returns the middle of the range of scores that GitHub shows as a severity: critical above 9.0, high from 7.0, medium
/// from 4.0, and low above 0.
fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

fn result(violation: &ViolationRow<'_>, rule_index: Option<usize>, fingerprint: &str) -> Value {
    let ViolationRow { container, rule, severity, message, path, source, .. } = violation;
    let object = violation.object();
    let container = container.map(|container| format!(", container {container}")).unwrap_or_default();
    let mut location = json!({
        "logicalLocations": [{ "fullyQualifiedName": object, "name": path, "kind": "resource" }],
    });
    if let Some(source) = source {
        location["physicalLocation"] = physical(source.source, Some(source.line as usize));
    }
    json!({
        "ruleId": rule,
        "ruleIndex": rule_index,
        "level": level(*severity),
        "message": { "text": format!("{object}{container}: {message}") },
        "locations": [location],
        "partialFingerprints": { "kubeDevops/v1": fingerprint },
        "properties": { "severity": severity },
    })
}

fn notification(error: &ReportError) -> Value {
    json!({
        "level": "error",
        "message": { "text": error.message },
        "locations": [{ "physicalLocation": physical(&error.source, error.line) }],
    })
}

/// Returns a place in a file. A relative path is relative to the root of the repository.
fn physical(source: &str, line: Option<usize>) -> Value {
    let path = source.strip_prefix("./").unwrap_or(source);
    let uri = utf8_percent_encode(path, PATH).to_string();
    let artifact = if source.contains("://") {
        json!({ "uri": source })
    } else if path.starts_with('/') {
        json!({ "uri": format!("file://{uri}") })
    } else {
        json!({ "uri": uri, "uriBaseId": "%SRCROOT%" })
    };
    let mut place = json!({ "artifactLocation": artifact });
    if let Some(line) = line {
        place["region"] = json!({ "startLine": line });
    }
    place
}
