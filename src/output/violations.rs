//! The violations as rows: grouped by workload, or one row each with all that is known.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use super::columns::long_table;
use crate::governance::{Report, ViolationRow};

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut groups: BTreeMap<_, u64> = BTreeMap::new();
    for violation in report.violations.iter() {
        let ViolationRow { namespace, container, rule, severity, .. } = violation;
        *groups.entry((Reverse(severity), namespace, workload(&violation), container, rule)).or_default() +=
            1;
    }
    let header = ["NAMESPACE", "WORKLOAD", "CONTAINER", "RULE", "SEVERITY", "PODS"];
    let rows = || {
        groups.iter().map(|((Reverse(severity), namespace, workload, container, rule), count)| {
            [
                (*namespace).into(),
                Cow::from(&**workload),
                container.unwrap_or(NONE).into(),
                rule.as_str().into(),
                severity.as_str().into(),
                count.to_string().into(),
            ]
        })
    };
    long_table(header, rows, out)
}

pub(super) fn write_wide(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let header =
        ["NAMESPACE", "WORKLOAD", "NAME", "CONTAINER", "RULE", "SEVERITY", "PATH", "SOURCE", "MESSAGE"];
    let rows = || {
        report.violations.iter().map(|violation| {
            [
                violation.namespace.into(),
                workload(&violation),
                violation.name.into(),
                violation.container.unwrap_or(NONE).into(),
                violation.rule.as_str().into(),
                violation.severity.as_str().into(),
                violation.path.into(),
                violation.source.map_or(NONE.into(), |source| source.to_string().into()),
                violation.message.into(),
            ]
        })
    };
    long_table(header, rows, out)
}

fn workload<'r>(violation: &ViolationRow<'r>) -> Cow<'r, str> {
    let itself = || format!("{}/{}", violation.kind, violation.name).into();
    violation.owner.map_or_else(itself, Cow::from)
}

/// What kubectl prints for a value that is not there.
const NONE: &str = "<none>";
