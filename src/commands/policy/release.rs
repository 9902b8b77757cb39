//! `kube-devops policy release`: removes finalizers before an uninstall.

use crate::cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, NamespacesArgs};
use crate::commands::leaders;
use crate::manifests::RECONCILE_LEASE;
use crate::operator::{self, ReleaseStep};
use crate::terminal::{self, to_stdout};
use std::io::{self, Write as _};

/// Remove the operator's finalizer from every DevOpsPolicy, so that they can be deleted without the operator.
///
/// It also removes the verdicts of native admission from Namespaces, so that nothing is denied any more.
///
/// Do this before an uninstall, after `kube-devops reconcile` has stopped: a running operator adds the finalizer again,
/// and a note names it. Other finalizers stay. Exit status: 2 when a policy could not be released.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    namespaces: NamespacesArgs,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    let names = args.namespaces.names();
    let namespaces = if names.is_empty() { vec![None] } else { names.iter().map(Some).collect() };
    leaders::note(&cluster, None, &[RECONCILE_LEASE]).await?;
    let (mut found, mut failed) = (false, false);
    let mut report = |step: ReleaseStep| {
        found |= matches!(step, ReleaseStep::Released(_));
        failed |= matches!(step, ReleaseStep::Failed(_));
        print(&step)
    };
    for namespace in namespaces {
        operator::release(&cluster, namespace.map(String::as_str), &mut report).await?;
    }
    if !found && !failed {
        terminal::note(format_args!("no policy has the finalizer {}", operator::FINALIZER))?;
    }
    Ok(if failed { ExitStatus::Failed } else { ExitStatus::Clean })
}

/// Prints a step of a release.
pub(in crate::commands) fn print(step: &ReleaseStep) -> io::Result<()> {
    match step {
        ReleaseStep::Released(policy) => to_stdout(|out| writeln!(out, "policy {policy} released")),
        ReleaseStep::Cleared(namespace) => to_stdout(|out| writeln!(out, "namespace {namespace} cleared")),
        ReleaseStep::Failed(problem) => terminal::error(problem),
    }
}
