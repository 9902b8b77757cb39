//! `kube-devops version`.

use std::io::Write as _;

use super::ExitStatus;
use crate::terminal::to_stdout;

/// The text after the program's name, in `version` and in `--version`.
pub(super) const VERSION: &str = concat!("version ", env!("CARGO_PKG_VERSION"));

/// Print the version.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: Args) -> anyhow::Result<ExitStatus> {
    to_stdout(|out| writeln!(out, "kube-devops {VERSION}"))?;
    Ok(ExitStatus::Clean)
}
