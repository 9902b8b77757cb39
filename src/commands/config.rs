//! `kube-devops config`: the settings of `analyze` that hold in a directory, each with its source.

use super::ExitStatus;
use super::analyze::{BaselineArgs, ConfigArgs, GateArgs, RuleArgs, settings};
use crate::config::schema;
use crate::output::{Cell, table};
use crate::terminal::to_stdout;

/// Show the settings of analyze that hold here, and where each comes from.
///
/// The source is a flag, a line of the configuration file (.kube-devops.yaml), or the default.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the JSON Schema of the configuration file, with which an editor checks and completes it
    #[arg(long)]
    schema: bool,

    #[command(flatten)]
    config: ConfigArgs,

    #[command(flatten)]
    rules: RuleArgs,

    #[command(flatten)]
    gates: GateArgs,

    #[command(flatten)]
    baseline: BaselineArgs,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let Args { schema: prints_schema, config, rules, gates, baseline } = args;
    if prints_schema {
        to_stdout(|out| writeln!(out.exact(), "{:#}", schema()))?;
        return Ok(ExitStatus::Clean);
    }
    let file = config.read()?;
    let rows = settings(&rules, &gates, &baseline, file.as_ref());
    let rows = rows.into_iter().map(|row| row.map(Cell::from));
    to_stdout(|out| table(["SETTING", "VALUE", "SOURCE"], rows, out))?;
    Ok(ExitStatus::Clean)
}
