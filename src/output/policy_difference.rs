//! The differences between policies, as a unified diff and as JSON.

use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use similar::TextDiff;

use super::{Text, impact};
use crate::governance::Impact;
use crate::policy::PolicyDifference;
use crate::yaml;

/// The format of differences between policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DifferenceFormat {
    /// A unified diff of the specs
    #[default]
    Unified,
    /// One JSON object with each setting that differs
    Json,
}

impl DifferenceFormat {
    /// Writes the differences between two sides of these names.
    pub fn write(
        self,
        from: &str,
        to: &str,
        differences: &[PolicyDifference],
        out: &mut Text<'_>,
    ) -> io::Result<()> {
        match self {
            Self::Unified => differences.iter().try_for_each(|one| unified(one, out)),
            Self::Json => {
                let object = json!({
                    "apiVersion": "kube-devops/v1",
                    "kind": "PolicyDiff",
                    "from": from,
                    "to": to,
                    "policies": differences,
                });
                serde_json::to_writer_pretty(out.exact(), &object)?;
                writeln!(out)
            }
        }
    }

    /// Writes the impact of one side in place of the other.
    pub fn write_impact(self, found: &Impact, out: &mut Text<'_>) -> io::Result<()> {
        match self {
            Self::Unified => impact(found, out),
            Self::Json => {
                serde_json::to_writer_pretty(out.exact(), found)?;
                writeln!(out)
            }
        }
    }
}

fn unified(difference: &PolicyDifference, out: &mut Text<'_>) -> io::Result<()> {
    let [before, after] =
        difference.specs.each_ref().map(|spec| spec.as_ref().map_or(String::new(), written));
    let [one, other] = difference.headers.each_ref().map(|name| name.as_deref().unwrap_or("/dev/null"));
    let diff = TextDiff::from_lines(&before, &after);
    let diff = diff.unified_diff().context_radius(3).header(one, other).to_string();
    for line in diff.lines() {
        let style = match line.bytes().next() {
            Some(b'+') => AnsiColor::Green.on_default(),
            Some(b'-') => AnsiColor::Red.on_default(),
            Some(b'@') => AnsiColor::Cyan.on_default(),
            _ => Style::new(),
        };
        out.styled(style, line)?;
        writeln!(out)?;
    }
    Ok(())
}

fn written(spec: &Value) -> String {
    yaml::to_string(&json!({ "spec": spec })).unwrap_or_else(|_| spec.to_string())
}
