//! `kube-devops man`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory;

use super::{Cli, ExitStatus};
use crate::terminal::to_stdout;

/// Print the man page, or write the pages of all commands to a directory.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory, such as /usr/local/share/man/man1; it is created if it doesn't exist
    directory: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let command = Cli::command();
    if let Some(directory) = &args.directory {
        std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(command, directory))
            .with_context(|| format!("cannot write man pages to {}", directory.display()))?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        to_stdout(|out| out.exact().write_all(&page))?;
    }
    Ok(ExitStatus::Clean)
}
