//! The violations as rows: grouped by workload, or every one with all that is known of it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::table;
use crate::governance::{Report, ReportedViolation};

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut groups: BTreeMap<_, u64> = BTreeMap::new();
    for violation in &report.violations {
        let ReportedViolation { namespace, container, rule, severity, .. } = violation;
        let group = (std::cmp::Reverse(*severity), namespace, workload(violation), container, *rule);
        *groups.entry(group).or_default() += 1;
    }
    let rows = groups.into_iter().map(|((severity, namespace, workload, container, rule), count)| {
        [
            namespace.clone(),
            workload,
            container.clone().unwrap_or_else(none),
            rule.to_string(),
            severity.0.to_string(),
            count.to_string(),
        ]
    });
    table(["NAMESPACE", "WORKLOAD", "CONTAINER", "RULE", "SEVERITY", "PODS"], rows, out)
}

pub(super) fn write_wide(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let header =
        ["NAMESPACE", "WORKLOAD", "NAME", "CONTAINER", "RULE", "SEVERITY", "PATH", "SOURCE", "MESSAGE"];
    let rows = report.violations.iter().map(|violation| {
        [
            violation.namespace.clone(),
            workload(violation),
            violation.name.clone(),
            violation.container.clone().unwrap_or_else(none),
            violation.rule.to_string(),
            violation.severity.to_string(),
            violation.path.clone(),
            violation.source.clone().unwrap_or_else(none),
            violation.message.clone(),
        ]
    });
    table(header, rows, out)
}

fn workload(violation: &ReportedViolation) -> String {
    violation.owner.clone().unwrap_or_else(|| format!("{}/{}", violation.kind, violation.name))
}

/// What kubectl prints for a value that isn't there.
fn none() -> String {
    "<none>".to_owned()
}
