//! The violations as rows: grouped by workload, or one row each with all that is known.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;

use super::columns::{long_table, table};
use super::{Cell, Text};
use crate::governance::{Report, ViolationRow};
use crate::workload::Owner;

/// Shown for a value that is missing, as kubectl does.
const NONE: &str = "<none>";

pub(super) fn write(report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    let mut groups: BTreeMap<_, u64> = BTreeMap::new();
    for violation in report.violations.iter() {
        let ViolationRow { namespace, container, rule, severity, .. } = violation;
        let group = (Reverse(severity), namespace, workload(&violation), container, rule);
        *groups.entry(group).or_default() += 1;
    }
    let rows = groups.iter().map(|((Reverse(severity), namespace, workload, container, rule), count)| {
        [
            Cell::from(namespace_of(namespace)),
            Cell::from(&**workload),
            Cell::from(container.unwrap_or(NONE)),
            Cell::from(rule.as_str()),
            Cell::severity(*severity),
            count.to_string().into(),
        ]
    });
    table(["NAMESPACE", "WORKLOAD", "CONTAINER", "RULE", "SEVERITY", "PODS"], rows, out)
}

pub(super) fn write_wide(report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    let header =
        ["NAMESPACE", "WORKLOAD", "NAME", "CONTAINER", "RULE", "SEVERITY", "PATH", "SOURCE", "MESSAGE"];
    let rows = || {
        report.violations.iter().map(|violation| {
            [
                namespace_of(violation.namespace).into(),
                workload(&violation).into(),
                violation.name.into(),
                violation.container.unwrap_or(NONE).into(),
                violation.rule.as_str().into(),
                Cell::severity(violation.severity),
                violation.path.into(),
                violation.source.map_or(NONE.into(), |source| source.to_string().into()),
                violation.message.into(),
            ]
        })
    };
    long_table(header, rows, out)
}

/// A cluster-scoped object has no namespace.
fn namespace_of(namespace: &str) -> &str {
    if namespace.is_empty() { NONE } else { namespace }
}

fn workload<'r>(violation: &ViolationRow<'r>) -> Cow<'r, str> {
    let itself = || Owner { kind: violation.kind, name: violation.name }.to_string().into();
    violation.owner.map_or_else(itself, Cow::from)
}
