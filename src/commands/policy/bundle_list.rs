//! `kube-devops policy bundle-list`.

use std::path::PathBuf;

use crate::commands::ExitStatus;
use crate::commands::args::bundles;
use crate::output::{Cell, table};
use crate::policy::{Bundle, EnforcementMode};
use crate::terminal::to_stdout;

/// List the built-in bundles, and those in your own files.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// File or directory with bundles of your own
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let bundles = bundles(&args.paths)?;
    let rows: Vec<[Cell<'_>; 5]> = bundles.all().iter().map(row).collect();
    to_stdout(|out| table(["NAME", "MODE", "RULES", "EXTENDS", "DESCRIPTION"], rows.iter().cloned(), out))?;
    Ok(ExitStatus::Clean)
}

fn row(bundle: &Bundle) -> [Cell<'_>; 5] {
    let mode = match bundle.mode() {
        EnforcementMode::Audit => "audit",
        EnforcementMode::Enforce => "enforce",
    };
    [
        bundle.name.as_str().into(),
        mode.into(),
        bundle.policy().rules().len().to_string().into(),
        bundle.extends.as_deref().unwrap_or("-").into(),
        bundle.description.as_str().into(),
    ]
}
