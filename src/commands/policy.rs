//! `policy`: work on the policies of a cluster, one action a file.

mod compile;
mod fixes;
mod rehearse;
pub(super) mod release;
mod retry;

use clap::Subcommand;

use super::ExitStatus;

/// Work on the policies of a cluster.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    Compile(Box<compile::Args>),
    Fixes(fixes::Args),
    Rehearse(rehearse::Args),
    Release(release::Args),
    Retry(retry::Args),
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitStatus> {
    match args.action {
        Action::Compile(args) => compile::run(&args).await,
        Action::Fixes(args) => fixes::run(&args).await,
        Action::Rehearse(args) => rehearse::run(&args).await,
        Action::Release(args) => release::run(&args).await,
        Action::Retry(args) => retry::run(&args).await,
    }
}
