//! `kube-devops webhook`: admission by a webhook, one action a file.

mod break_glass;
mod cert_generate;
mod certificates;
mod doctor;
mod install_config;
mod registration;
mod serve;
mod uninstall;

use tracing::level_filters::LevelFilter;

use super::{ExitStatus, block_on};

/// Evaluate workloads before the API server stores them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    BreakGlass(break_glass::Args),
    CertGenerate(cert_generate::Args),
    Doctor(doctor::Args),
    InstallConfig(install_config::Args),
    // Its flags are many times larger than those of the others.
    Serve(Box<serve::Args>),
    Uninstall(uninstall::Args),
}

impl Args {
    /// Returns true if the command runs until it is stopped.
    pub(super) fn is_service(&self) -> bool {
        matches!(self.action, Action::Serve(_))
    }
}

pub(super) fn run(args: &Args, verbosity: Option<LevelFilter>) -> anyhow::Result<ExitStatus> {
    match &args.action {
        Action::BreakGlass(args) => block_on(break_glass::run(args)),
        Action::CertGenerate(args) => cert_generate::run(args),
        Action::Doctor(args) => block_on(doctor::run(args)),
        Action::InstallConfig(args) => block_on(install_config::run(args)),
        Action::Serve(args) => serve::run(args, verbosity),
        Action::Uninstall(args) => block_on(uninstall::run(args)),
    }
}
