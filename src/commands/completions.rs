//! `kube-devops completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, ExitStatus};
use crate::output::to_stdout;

/// Print the completion script of a shell.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kube-devops", &mut script);
    to_stdout(|out| out.write_all(&script))?;
    Ok(ExitStatus::Clean)
}
