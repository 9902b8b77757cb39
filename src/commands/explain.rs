//! `kube-devops explain`.

use std::collections::BTreeSet;
use std::io::Write as _;

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::ExitStatus;
use crate::output::explain;
use crate::rules::{self, RULES, Rule};
use crate::terminal::to_stdout;

/// Explain a rule: what it counts, why that is bad, its exceptions, and how to fix it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rule's id, as `kube-devops rules` lists it.
    #[arg(value_parser = rule_ids().try_map(|id| rules::find(&id).ok_or("there is no such rule")))]
    #[arg(required_unless_present = "from")]
    rule: Option<&'static Rule>,

    /// Explain the rules that stand for a check of another tool, such as polaris:tagNotSpecified
    #[arg(long, value_name = "TOOL:CHECK", conflicts_with = "rule")]
    from: Option<String>,
}

/// Lists the ids, so that errors, help and completions all name them.
fn rule_ids() -> PossibleValuesParser {
    PossibleValuesParser::new(RULES.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>())
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let rules = match (&args.from, args.rule) {
        (Some(check), _) => stand_for(check)?,
        (None, rule) => rule.into_iter().collect(),
    };
    to_stdout(|out| {
        rules.iter().enumerate().try_for_each(|(index, rule)| {
            if index > 0 {
                writeln!(out)?;
            }
            explain(rule, out)
        })
    })?;
    Ok(ExitStatus::Clean)
}

/// Returns the rules that stand for a check of another tool.
fn stand_for(check: &str) -> anyhow::Result<Vec<&'static Rule>> {
    let rules = rules::of_peer(check);
    if rules.is_empty() {
        let tools: BTreeSet<&str> = RULES
            .iter()
            .flat_map(|rule| rule.peers)
            .filter_map(|peer| Some(peer.split_once(':')?.0))
            .collect();
        let tools = tools.into_iter().collect::<Vec<_>>().join(", ");
        bail!("no rule stands for {check:?}: write TOOL:CHECK, with one of the tools {tools}");
    }
    Ok(rules)
}
