//! `multi-cluster`: many clusters at once, one action a file.

mod analyze;
mod choice;
mod contexts;
mod known;
mod list_contexts;
mod profiles;
mod refused;
mod rows;
mod status;

use clap::Subcommand;

use super::ExitStatus;

/// Work on many clusters at once.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    Analyze(Box<analyze::Args>),
    ListContexts(list_contexts::Args),
    Status(status::Args),
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitStatus> {
    match args.action {
        Action::Analyze(args) => analyze::run(&args).await,
        Action::ListContexts(args) => list_contexts::run(&args).await,
        Action::Status(args) => status::run(&args).await,
    }
}
