//! `kube-devops webhook doctor`: examines the webhook in the API server.

use std::io::Write as _;

use jiff::Timestamp;

use crate::admission::examine;
use crate::cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, SystemNamespaceArgs, namespace};
use crate::manifests::installation::DEFAULT_NAMESPACE;
use crate::manifests::{AdmissionSettings, RECONCILE_LEASE};
use crate::terminal::{note, to_stdout};

/// Look for everything that makes admission fail unseen, or brick the cluster.
///
/// It finds certificates that the API server would not accept, missing endpoints, a configuration that matches too much
/// or was left behind, objects that were stored without evaluation, a suspension that is overdue, and policies and
/// verdicts of native admission that are missing, changed or stale.
///
/// Exit status: 0 when all is well, 1 when there is a problem, 2 when the API server could not be asked.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Namespace of the operator, as passed to `policy compile`
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE, value_parser = namespace)]
    namespace: String,

    #[command(flatten)]
    system: SystemNamespaceArgs,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    let settings = AdmissionSettings {
        namespace: args.namespace.clone(),
        account: RECONCILE_LEASE.to_owned(),
        system_namespaces: args.system.names(),
    };
    #[expect(clippy::disallowed_methods, reason = "the edge at which the clock is handed in")]
    let diagnosis = examine(&cluster, &settings, Timestamp::now()).await?;
    for text in &diagnosis.notes {
        note(text)?;
    }
    for problem in &diagnosis.problems {
        to_stdout(|out| writeln!(out, "{problem}"))?;
    }
    if diagnosis.problems.is_empty() {
        to_stdout(|out| writeln!(out, "no problem found"))?;
        return Ok(ExitStatus::Clean);
    }
    Ok(ExitStatus::Findings)
}
