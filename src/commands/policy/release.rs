//! `policy release`: finalizers off, before an uninstall.

use crate::cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, namespace};
use crate::operator;
use crate::output::{to_stderr, to_stdout};

/// Take the operator's finalizer off every DevOpsPolicy, so that they can be deleted without it.
///
/// For an uninstall, and only once no `kube-devops reconcile` runs any more: it would put the finalizer on again.
/// Finalizers of others stay. Ends with status 2 when some policy could not be released.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// A namespace, repeatable [default: all]
    #[arg(short, long = "namespace", value_name = "NAME", value_parser = namespace)]
    namespaces: Vec<String>,

    /// All namespaces, which is the default, whatever -n says
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    let all = args.all_namespaces || args.namespaces.is_empty();
    let namespaces = if all { vec![None] } else { args.namespaces.iter().map(Some).collect() };
    let (mut found, mut failed) = (false, false);
    for namespace in namespaces {
        let held = match operator::held(&cluster, namespace.map(String::as_str)).await {
            Ok(held) => held,
            // Without the CRD there is no policy.
            Err(error) if error.code() == Some(404) => continue,
            Err(error) => {
                let place = namespace.map_or_else(String::new, |name| format!(" of namespace {name:?}"));
                to_stderr(|err| writeln!(err, "error: cannot list the policies{place}: {error}"))?;
                failed = true;
                continue;
            }
        };
        if let Some(name) = namespace.filter(|_| held.is_empty())
            && cluster.lacks_namespace(name).await
        {
            to_stderr(|err| writeln!(err, "error: namespace {name:?} not found"))?;
            failed = true;
        }
        for policy in held {
            found = true;
            let name = format!("{}/{}", policy.namespace(), policy.name());
            match operator::release(&cluster, policy).await {
                Ok(()) => to_stdout(|out| writeln!(out, "devopspolicy {name} released"))?,
                Err(error) => {
                    to_stderr(|err| writeln!(err, "error: cannot release the policy {name}: {error}"))?;
                    failed = true;
                }
            }
        }
    }
    if !found && !failed {
        to_stderr(|err| writeln!(err, "no policy has the finalizer {}", operator::FINALIZER))?;
    }
    Ok(if failed { ExitStatus::Failed } else { ExitStatus::Clean })
}
