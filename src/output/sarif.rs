//! The report as SARIF 2.1.0, for code scanning.
//!
//! GitHub takes at most 25,000 results and 10 MB of a file, so the results are cut there, the worst first. Sources: the
//! SARIF standard, <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>, and
//! <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>.

use std::io::{self, Write};

use serde_json::{Value, json};

use self::result::{Finding, Physical, level};
use super::fingerprint::Fingerprints;
use crate::governance::{Report, ReportError};
use crate::rules::{self, Category, Rule, RuleId, Severity};
use crate::workload::count;

/// The maximum number of results.
const MOST_RESULTS: usize = 25_000;
/// The maximum size of the file in bytes, with room for its frame.
const MOST_BYTES: usize = 9_990_000;
/// The maximum number of notifications, so that there is room for results.
const MOST_NOTIFICATIONS: usize = 1_000;

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
    let tool = json!({ "driver": driver }).to_string();
    write!(
        out,
        "{{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{{\
         \"tool\":{tool},\"columnKind\":\"unicodeCodePoints\",\"results\":["
    )?;
    let mut notifications = notifications(report);
    let (mut written, mut left_out, mut text) = (0, 0, Vec::new());
    let mut bytes = tool.len() + notifications.iter().map(|one| one.to_string().len() + 1).sum::<usize>();
    let mut fingerprints = Fingerprints::default();
    for violation in report.violations.iter() {
        if left_out > 0 || written == MOST_RESULTS {
            left_out += 1;
            continue;
        }
        let index = enabled.iter().position(|rule| *rule == violation.rule);
        let file = violation.source.map(|source| report.project_root.relative(source.source));
        let fingerprint = fingerprints.next(&violation);
        let object = violation.object();
        text.clear();
        text.extend_from_slice(if written == 0 { b"\n" } else { b",\n" });
        let finding = Finding::new(&violation, &object, index, &fingerprint, file.as_deref());
        serde_json::to_writer(&mut text, &finding)?;
        if bytes + text.len() > MOST_BYTES {
            left_out += 1;
            continue;
        }
        out.write_all(&text)?;
        (written, bytes) = (written + 1, bytes + text.len());
    }
    if left_out > 0 {
        let results = count(left_out, "less severe result is", "less severe results are");
        let text = format!("{results} left out: at most {MOST_RESULTS} results and 10 MB are accepted");
        notifications.push(json!({ "level": "warning", "message": { "text": text } }));
    }
    let invocation = json!({
        "executionSuccessful": !report.has_failed(),
        "toolExecutionNotifications": notifications,
    });
    writeln!(out, "],\n\"invocations\":[{invocation}]}}]}}")
}

/// Returns what could not be read or evaluated, and what is exempt.
fn notifications(report: &Report) -> Vec<Value> {
    let errors = report.errors.iter().map(|error| notification("error", error, report));
    let unrendered = report.unrendered.iter().map(|directory| notification("warning", directory, report));
    let exempt = report.exempt.iter().filter(|exempt| exempt.matters()).map(|exempt| {
        let level = if exempt.expired { "warning" } else { "note" };
        json!({ "level": level, "message": { "text": exempt.to_string() } })
    });
    let mut all = errors.chain(unrendered).chain(exempt);
    let mut notifications: Vec<Value> = all.by_ref().take(MOST_NOTIFICATIONS).collect();
    let more = all.count() as u64;
    if more > 0 {
        let text = format!("{} left out", count(more, "more notification is", "more notifications are"));
        notifications.push(json!({ "level": "warning", "message": { "text": text } }));
    }
    notifications
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

fn notification(level: &str, error: &ReportError, report: &Report) -> Value {
    json!({
        "level": level,
        "message": { "text": error.message },
        "locations": [{ "physicalLocation": Physical::new(&report.project_root.relative(&error.source), error.line) }],
    })
}

mod result;
