//! `kube-devops explain`.

use std::io::{self, Write as _};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::ExitStatus;
use crate::output::{Text, to_stdout};
use crate::policy::fields_of;
use crate::rules::{self, RULES, Rule};

/// Explain a rule: what it counts, why that is bad, its exceptions, and what mends it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rule's id, as `kube-devops rules` lists it.
    #[arg(value_parser = rule_ids().try_map(|id| rules::find(&id).ok_or("there is no such rule")))]
    rule: &'static Rule,
}

/// Lists the ids, so that errors, help and completions all name them.
fn rule_ids() -> PossibleValuesParser {
    PossibleValuesParser::new(RULES.map(|rule| rule.id.as_str()))
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    to_stdout(|out| write(args.rule, out))?;
    Ok(ExitStatus::Clean)
}

fn write(rule: &Rule, out: &mut Text<'_>) -> io::Result<()> {
    writeln!(out, "# {}\n\n{}.\n", rule.id, rule.summary)?;
    writeln!(out, "Severity: {}. Weight: {} points.", rule.severity, rule.weight)?;
    let score = if rule.in_default_score { "is" } else { "is not" };
    writeln!(
        out,
        "Category: {}. It {score} part of the default score. Since {}.",
        rule.category, rule.since
    )?;
    writeln!(out, "Turned on in a DevOpsPolicy by: {}.", fields_of(rule).join(" or "))?;
    writeln!(out, "Fix: {}.\n", rule.fix.as_ref().map_or("none", |fix| fix.summary))?;
    out.write_all(rule.docs.as_bytes())?;
    if !rule.parameters.is_empty() {
        writeln!(out, "\n## Parameters")?;
    }
    for parameter in rule.parameters {
        writeln!(out, "- `{}` (default {}): {}.", parameter.name, parameter.default, parameter.summary)?;
    }
    Ok(())
}
