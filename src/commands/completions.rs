//! `kube-devops completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, ExitStatus};
use crate::terminal::to_stdout;

/// Print the completion script of a shell.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kube-devops", &mut script);
    if args.shell == Shell::Bash {
        // If the name has a hyphen, the script's case labels differ from the values that it compares them with:
        // https://github.com/clap-rs/clap/issues/6421
        script = String::from_utf8(script)?.replace("kube__subcmd__devops", "kube__devops").into_bytes();
    }
    to_stdout(|out| out.exact().write_all(&script))?;
    Ok(ExitStatus::Clean)
}
