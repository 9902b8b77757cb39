//! The violations as rows: one a workload, container and rule, or one each with its message, path and source.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;

use super::{Cell, Text, table};
use crate::governance::{Report, ReportedViolation};

/// Shown for a value that is missing, as kubectl does.
const NONE: &str = "<none>";

pub(super) fn write(report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    let mut groups: BTreeMap<_, u64> = BTreeMap::new();
    for violation in &report.violations {
        let ReportedViolation { namespace, container, rule, severity, .. } = violation;
        let group = (Reverse(*severity), namespace, workload(violation), container, *rule);
        *groups.entry(group).or_default() += 1;
    }
    let rows = groups.iter().map(|((Reverse(level), namespace, workload, container, rule), count)| {
        [
            Cell::from(namespace.as_str()),
            Cell::from(workload.as_str()),
            Cell::from(container.as_deref().unwrap_or(NONE)),
            Cell::from(rule.as_str()),
            Cell::severity(*level),
            count.to_string().into(),
        ]
    });
    table(["NAMESPACE", "WORKLOAD", "CONTAINER", "RULE", "SEVERITY", "PODS"], rows, out)
}

pub(super) fn write_wide(report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    let header =
        ["NAMESPACE", "WORKLOAD", "NAME", "CONTAINER", "RULE", "SEVERITY", "PATH", "SOURCE", "MESSAGE"];
    let rows = report.violations.iter().map(|violation| {
        [
            Cell::from(&*violation.namespace),
            workload(violation).into(),
            Cell::from(&*violation.name),
            Cell::from(violation.container.as_deref().unwrap_or(NONE)),
            Cell::from(violation.rule.as_str()),
            Cell::severity(violation.severity),
            Cell::from(&*violation.path),
            Cell::from(violation.source.as_deref().unwrap_or(NONE)),
            Cell::from(&*violation.message),
        ]
    });
    table(header, rows, out)
}

fn workload(violation: &ReportedViolation) -> String {
    violation.owner.clone().unwrap_or_else(|| format!("{}/{}", violation.kind, violation.name))
}
