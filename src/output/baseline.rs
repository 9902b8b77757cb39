//! A baseline as sorted JSON with one finding on each line, so that a diff shows each change.

use std::io::{self, Write};

use crate::governance::{BASELINE_API_VERSION, BASELINE_KIND, Identity, KnownFinding, Report, identities};

/// Writes the violations of a report as a baseline, and returns the number of entries.
pub fn write_baseline(report: &Report, out: &mut dyn Write) -> io::Result<usize> {
    let findings = identities(&report.violations);
    write!(
        out,
        "{{\n  \"apiVersion\": \"{BASELINE_API_VERSION}\",\n  \"kind\": \"{BASELINE_KIND}\",\n  \"findings\": ["
    )?;
    for (index, (identity, count)) in findings.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        write!(out, "{separator}\n    ")?;
        serde_json::to_writer(&mut *out, &known(*identity, *count))?;
    }
    let end = if findings.is_empty() { "" } else { "\n  " };
    writeln!(out, "{end}]\n}}")?;
    Ok(findings.len())
}

fn known(identity: Identity<'_>, count: u32) -> KnownFinding {
    let Identity { namespace, kind, name, container, rule } = identity;
    KnownFinding {
        namespace: namespace.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        container: container.map(str::to_owned),
        rule: rule.to_owned(),
        count,
    }
}
