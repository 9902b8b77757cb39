//! The violations as rows: grouped by workload, or one row each with all that is known.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use super::columns::long_table;
use super::{Cell, Text};
use crate::governance::{Report, ViolationRow};
use crate::workload::Owner;

/// Shown for a value that is missing, as kubectl does.
const NONE: &str = "<none>";

pub(super) fn write(report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    let header = ["NAMESPACE", "WORKLOAD", "CONTAINER", "RULE", "SEVERITY", "PODS"];
    long_table(header, || rows(report), out)
}

/// Iterates over the rows. Only those of one severity in one namespace are in memory.
fn rows(report: &Report) -> impl Iterator<Item = [Cell<'_>; 6]> {
    let mut violations = report.violations.iter().peekable();
    let groups = std::iter::from_fn(move || {
        let ViolationRow { severity, namespace, .. } = *violations.peek()?;
        let mut groups: BTreeMap<_, u64> = BTreeMap::new();
        let is_same = |other: &ViolationRow<'_>| (other.severity, other.namespace) == (severity, namespace);
        while let Some(violation) = violations.next_if(is_same) {
            *groups.entry((workload(&violation), violation.container, violation.rule)).or_default() += 1;
        }
        Some(groups.into_iter().map(move |((workload, container, rule), count)| {
            [
                Cell::from(namespace_of(namespace)),
                workload.into(),
                container.unwrap_or(NONE).into(),
                rule.as_str().into(),
                Cell::severity(severity),
                count.to_string().into(),
            ]
        }))
    });
    groups.flatten()
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
