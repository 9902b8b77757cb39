//! `policy`: work on policies and bundles, one action a file.

mod bundle_apply;
mod bundle_list;
mod bundle_show;
mod compile;
mod diff;
mod export;
mod files;
mod fixes;
mod impact;
mod impact_files;
mod impact_reader;
mod import;
mod import_lines;
mod rehearse;
pub(super) mod release;
mod retry;
mod side;
mod targets;

use clap::Subcommand;

use super::ExitStatus;

/// Work on policies and bundles, in files and in a cluster.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    BundleApply(Box<bundle_apply::Args>),
    BundleList(bundle_list::Args),
    BundleShow(bundle_show::Args),
    Compile(Box<compile::Args>),
    Diff(Box<diff::Args>),
    Export(Box<export::Args>),
    Fixes(fixes::Args),
    Import(Box<import::Args>),
    Rehearse(rehearse::Args),
    Release(release::Args),
    Retry(retry::Args),
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitStatus> {
    match args.action {
        Action::BundleApply(args) => bundle_apply::run(&args).await,
        Action::BundleList(args) => bundle_list::run(&args),
        Action::BundleShow(args) => bundle_show::run(&args),
        Action::Compile(args) => compile::run(&args).await,
        Action::Diff(args) => diff::run(&args).await,
        Action::Export(args) => export::run(&args).await,
        Action::Fixes(args) => fixes::run(&args).await,
        Action::Import(args) => import::run(&args).await,
        Action::Rehearse(args) => rehearse::run(&args).await,
        Action::Release(args) => release::run(&args).await,
        Action::Retry(args) => retry::run(&args).await,
    }
}
