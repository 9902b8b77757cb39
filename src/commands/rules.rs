//! `kube-devops rules`.

use super::ExitStatus;
use crate::output::{Cell, table, to_stdout};
use crate::rules::RULES;

/// List the rules: what each one counts, how much, whether it is part of the default score, and whether it has a fix.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: Args) -> anyhow::Result<ExitStatus> {
    let rows = RULES.iter().map(|rule| {
        [
            Cell::from(rule.id.as_str()),
            Cell::severity(rule.severity),
            rule.weight.to_string().into(),
            if rule.in_default_score { "yes" } else { "no" }.into(),
            if rule.fix.is_some() { "yes" } else { "no" }.into(),
            rule.summary.into(),
        ]
    });
    to_stdout(|out| table(["RULE", "SEVERITY", "WEIGHT", "DEFAULT", "FIX", "SUMMARY"], rows, out))?;
    Ok(ExitStatus::Clean)
}
