//! `deploy`: the manifests of an installation.

use clap::Subcommand;

use super::ExitStatus;
use super::args::{InstallationArgs, SystemNamespaceArgs};
use crate::manifests::installation;
use crate::output::ManifestFormat;
use crate::terminal::to_stdout;

/// Print the manifests that install kube-devops in a cluster.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Print everything: namespace, CRDs, accounts and roles, Services, budgets and Deployments
    ///
    /// Apply it with `kubectl apply --server-side -f -`.
    #[command(name = "generate-all")]
    All(GenerateArgs),
    /// Print the accounts and roles only
    #[command(name = "generate-rbac")]
    Rbac(GenerateArgs),
    /// Print the Deployments only
    #[command(name = "generate-deployments")]
    Deployments(GenerateArgs),
}

#[derive(Clone, Debug, clap::Args)]
struct GenerateArgs {
    #[command(flatten)]
    installation: InstallationArgs,

    #[command(flatten)]
    system: SystemNamespaceArgs,

    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: ManifestFormat,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let (Action::All(chosen) | Action::Rbac(chosen) | Action::Deployments(chosen)) = &args.action;
    let installation = chosen.installation.installation(chosen.system.names())?;
    let objects = match args.action {
        Action::All(_) => installation::all(&installation)?,
        Action::Rbac(_) => installation::rbac(&installation),
        Action::Deployments(_) => installation::deployments(&installation),
    };
    to_stdout(|out| chosen.output.write(&objects, out.exact()))?;
    Ok(ExitStatus::Clean)
}
