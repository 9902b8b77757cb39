//! The command line: one subcommand a file.

mod analyze;
mod annotations;
mod args;
mod check;
mod completions;
mod config;
mod crd;
mod deploy;
mod exit_status;
mod explain;
mod leaders;
mod list;
mod man;
mod multi_cluster;
mod observability;
mod policy;
mod progress_spinner;
mod reconcile;
mod rules;
mod service;
mod undo;
mod uninstall;
mod verbosity;
mod version;
mod watch;
mod webhook;

use std::future::Future;

use clap::{Parser, Subcommand};

use crate::telemetry::{LogFormat, logging};

pub use exit_status::ExitStatus;
use verbosity::level;

/// Kubernetes governance: one health score, what to fix first, and fixes that are safe.
#[derive(Debug, Parser)]
#[command(name = "kube-devops", version = version::VERSION, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Log level on stderr: 0 nothing, 1 warnings, 2 actions, 4 details, 6 every request
    #[arg(short, long, value_name = "LEVEL", default_value_t = 0, global = true)]
    v: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    Analyze(Box<analyze::Args>),
    Check(check::Args),
    Completions(completions::Args),
    Config(config::Args),
    Crd(crd::Args),
    Deploy(deploy::Args),
    Explain(explain::Args),
    List(list::Args),
    Man(man::Args),
    MultiCluster(multi_cluster::Args),
    Observability(observability::Args),
    Policy(policy::Args),
    Reconcile(reconcile::Args),
    Rules(rules::Args),
    Undo(undo::Args),
    Uninstall(uninstall::Args),
    Version(version::Args),
    Watch(watch::Args),
    Webhook(webhook::Args),
}

impl Command {
    /// Returns true if the command runs until it is stopped; such a command has its own flags for logs.
    fn is_service(&self) -> bool {
        match self {
            Self::Reconcile(_) | Self::Watch(_) => true,
            Self::Webhook(args) => args.is_service(),
            _ => false,
        }
    }
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<ExitStatus> {
        let verbosity = (self.v > 0).then(|| level(self.v));
        if let (Some(level), false) = (verbosity, self.command.is_service()) {
            logging::start(LogFormat::Text, level, None)?;
        }
        match self.command {
            Command::Analyze(args) => analyze::run(*args),
            Command::Check(args) => block_on(check::run(args)),
            Command::Completions(args) => completions::run(&args),
            Command::Config(args) => config::run(args),
            Command::Crd(args) => block_on(crd::run(args)),
            Command::Deploy(args) => deploy::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::List(args) => block_on(list::run(args)),
            Command::Man(args) => man::run(&args),
            Command::MultiCluster(args) => block_on(multi_cluster::run(args)),
            Command::Observability(args) => observability::run(&args),
            Command::Policy(args) => block_on(policy::run(args)),
            Command::Reconcile(args) => reconcile::run(&args, verbosity),
            Command::Rules(args) => rules::run(args),
            Command::Undo(args) => block_on(undo::run(args)),
            Command::Uninstall(args) => block_on(uninstall::run(args)),
            Command::Version(args) => version::run(args),
            Command::Watch(args) => watch::run(&args, verbosity),
            Command::Webhook(args) => webhook::run(&args, verbosity),
        }
    }
}

/// Runs a command that talks to a cluster.
fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // One thread receives a page while the other reads the page before.
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(command)
}
