//! `kube-devops policy release`: removes finalizers before an uninstall.

use crate::cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, NamespacesArgs};
use crate::operator;
use crate::output::{self, to_stdout};
use crate::workload::PolicyRef;
use std::io::Write as _;

/// Remove the operator's finalizer from every DevOpsPolicy, so that they can be deleted without the operator.
///
/// It also removes the verdicts of native admission from Namespaces, so that nothing is denied any more.
///
/// Do this before an uninstall, after `kube-devops reconcile` has stopped: a running operator adds the finalizer again.
/// Other finalizers stay. Exit status: 2 when a policy could not be released.
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
    let (mut found, mut failed) = (false, false);
    for &namespace in &namespaces {
        let held = match operator::held(&cluster, namespace.map(String::as_str)).await {
            Ok(held) => held,
            // There are no policies without the CRD.
            Err(error) if error.code() == Some(404) => continue,
            Err(error) => {
                let place = namespace.map_or_else(String::new, |name| format!(" of namespace {name:?}"));
                output::error(format_args!("cannot list the policies{place}: {error}"))?;
                failed = true;
                continue;
            }
        };
        if let Some(name) = namespace.filter(|_| held.is_empty())
            && cluster.lacks_namespace(name).await
        {
            output::error(format_args!("namespace {name:?} not found"))?;
            failed = true;
        }
        for policy in held {
            found = true;
            let name = PolicyRef::new(policy.namespace(), policy.name());
            match operator::release(&cluster, policy).await {
                Ok(()) => to_stdout(|out| writeln!(out, "devopspolicy {name} released"))?,
                Err(error) => {
                    output::error(format_args!("cannot release the policy {name}: {error}"))?;
                    failed = true;
                }
            }
        }
    }
    for namespace in namespaces {
        match operator::clear_verdicts(&cluster, namespace.map(String::as_str)).await {
            Ok(cleared) => {
                for name in cleared {
                    to_stdout(|out| writeln!(out, "namespace {name} cleared"))?;
                }
            }
            Err(error) => {
                let place = namespace
                    .map_or_else(|| "the Namespaces".to_owned(), |name| format!("Namespace {name:?}"));
                output::error(format_args!(
                    "cannot clear the verdict of native admission from {place}: {error}"
                ))?;
                failed = true;
            }
        }
    }
    if !found && !failed {
        output::note(format_args!("no policy has the finalizer {}", operator::FINALIZER))?;
    }
    Ok(if failed { ExitStatus::Failed } else { ExitStatus::Clean })
}
