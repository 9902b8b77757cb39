//! `kube-devops webhook uninstall`: takes the webhook out of the API server.

use std::io::Write as _;

use crate::admission::configuration;
use crate::cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, namespace};
use crate::manifests::installation::DEFAULT_NAMESPACE;
use crate::terminal::{note, to_stdout};

/// Remove the webhook from the API server, and the Secret with its certificates.
///
/// Do this before the Deployment is deleted. It also cleans up after a namespace that was deleted too early. A webhook that
/// still runs makes the Secret again.
///
/// Exit status: 2 when something could not be removed.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Namespace of the webhook
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE, value_parser = namespace)]
    namespace: String,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    let removed = configuration::uninstall(&cluster, &args.namespace).await?;
    for object in &removed {
        to_stdout(|out| writeln!(out, "{object} removed"))?;
    }
    if removed.is_empty() {
        note("nothing of the webhook is installed")?;
    }
    Ok(ExitStatus::Clean)
}
