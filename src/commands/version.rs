//! `kube-devops version`.

use std::io::Write;

use super::ExitStatus;

/// Print the version.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: Args) -> anyhow::Result<ExitStatus> {
    writeln!(std::io::stdout(), "kube-devops version {}", env!("CARGO_PKG_VERSION"))?;
    Ok(ExitStatus::Clean)
}
