//! `kube-devops explain`.

use std::io::{self, Write};

use anyhow::bail;

use super::ExitStatus;
use crate::output::to_stdout;
use crate::rules::{self, RULES, Rule};

/// Explain a rule: what it counts, why that is bad, and its exceptions.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rule's id, as `kube-devops rules` lists it.
    rule: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let Some(rule) = rules::find(&args.rule) else {
        let known = RULES.map(|rule| rule.id.as_str()).join(", ");
        bail!("there is no rule {:?}; the rules are {known}", args.rule);
    };
    to_stdout(|out| write(rule, out))?;
    Ok(ExitStatus::Clean)
}

fn write(rule: &Rule, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# {}\n\n{}.\n", rule.id, rule.summary)?;
    writeln!(out, "Severity: {}. Weight: {} points.", rule.severity, rule.weight)?;
    let score = if rule.in_default_score { "is" } else { "is not" };
    writeln!(
        out,
        "Category: {}. It {score} part of the default score. Since {}.\n",
        rule.category, rule.since
    )?;
    out.write_all(rule.docs.as_bytes())?;
    if !rule.parameters.is_empty() {
        writeln!(out, "\n## Parameters")?;
    }
    for parameter in rule.parameters {
        writeln!(out, "- `{}` (default {}): {}.", parameter.name, parameter.default, parameter.summary)?;
    }
    Ok(())
}
