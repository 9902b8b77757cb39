//! `kube-devops version`.

use super::ExitStatus;
use crate::output::to_stdout;

/// Print the version.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: Args) -> anyhow::Result<ExitStatus> {
    to_stdout(|out| writeln!(out, "kube-devops version {}", env!("CARGO_PKG_VERSION")))?;
    Ok(ExitStatus::Clean)
}
