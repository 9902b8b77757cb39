//! `uninstall`: removes what remains of kube-devops in a cluster.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;

use super::ExitStatus;
use super::args::{ConnectArgs, namespace};
use crate::cluster::{self, Cluster};
use crate::manifests::installation::{APP, DEFAULT_NAMESPACE};
use crate::manifests::{Leftover, crd_leftovers, leftovers};
use crate::operator;
use crate::output::{self, to_stdout};
use crate::workload::PolicyRef;

/// The time that pods get to end: more than twice the longest `terminationGracePeriodSeconds` of ours.
const PATIENCE: Duration = Duration::from_mins(2);

/// Remove everything of kube-devops that a cluster keeps when its Deployments are deleted.
///
/// Delete the Deployments first, or give --stop: a running operator writes some of it again. This removes the finalizers of policies, the
/// admission policies, the budgets of enforcement and the Leases. Patched workloads stay as they are; run
/// `kube-devops undo --all` before, to take the patches back. The CRDs, and with them all policies, stay without --crds.
///
/// Exit status: 2 when something could not be removed.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Namespace that kube-devops was installed in
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE, value_parser = namespace)]
    namespace: String,

    /// Delete the Deployments of kube-devops first, and wait for the end of their pods
    #[arg(long)]
    stop: bool,

    /// Delete the CRDs too, and with them all policies and audit results
    #[arg(long, requires = "yes")]
    crds: bool,

    /// Confirm --crds
    #[arg(long, requires = "crds")]
    yes: bool,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    if args.stop {
        stop(&cluster, &args.namespace).await?;
    }
    let mut clean = release(&cluster).await?;
    clean &= clear_verdicts(&cluster).await?;
    let mut objects = leftovers(&args.namespace);
    if args.crds && clean {
        objects.extend(crd_leftovers());
    }
    for object in objects {
        clean &= remove(&cluster, &object).await?;
    }
    Ok(if clean { ExitStatus::Clean } else { ExitStatus::Failed })
}

/// Stops the Deployments. Nothing is removed while one of their pods runs.
async fn stop(cluster: &Cluster, namespace: &str) -> anyhow::Result<()> {
    let stopped = cluster.stop(namespace, &format!("app.kubernetes.io/part-of={APP}"), PATIENCE).await;
    for name in stopped.context("cannot stop the Deployments")? {
        to_stdout(|out| writeln!(out, "deployment {name} deleted"))?;
    }
    Ok(())
}

/// Removes the finalizer from all policies. Returns false if one is left: the deletion of a CRD would wait for it.
async fn release(cluster: &Cluster) -> anyhow::Result<bool> {
    let held = match operator::held(cluster, None).await {
        Ok(held) => held,
        // There are no policies without the CRD.
        Err(error) if error.code() == Some(404) => return Ok(true),
        Err(error) => {
            output::error(format_args!("cannot list the policies: {error}"))?;
            return Ok(false);
        }
    };
    let mut clean = true;
    for policy in held {
        let name = PolicyRef::new(policy.namespace(), policy.name());
        match operator::release(cluster, policy).await {
            Ok(()) => to_stdout(|out| writeln!(out, "devopspolicy {name} released"))?,
            Err(error) => {
                output::error(format_args!("cannot release the policy {name}: {error}"))?;
                clean = false;
            }
        }
    }
    Ok(clean)
}

/// Removes the verdicts of native admission from Namespaces. Returns false if one may be left.
async fn clear_verdicts(cluster: &Cluster) -> anyhow::Result<bool> {
    match operator::clear_verdicts(cluster, None).await {
        Ok(cleared) => {
            for name in cleared {
                to_stdout(|out| writeln!(out, "namespace {name} cleared"))?;
            }
            Ok(true)
        }
        Err(error) => {
            output::error(format_args!("cannot clear the verdicts of native admission: {error}"))?;
            Ok(false)
        }
    }
}

/// Deletes an object, and says so if it existed. Returns false if it is left.
async fn remove(cluster: &Cluster, object: &Leftover) -> anyhow::Result<bool> {
    let Leftover { api_version, kind, namespace, name } = object;
    let what = format!("{} {name}", kind.to_lowercase());
    match cluster.remove(api_version, kind, namespace.as_deref(), name).await {
        Ok(true) => to_stdout(|out| writeln!(out, "{what} deleted"))?,
        Ok(false) => {}
        Err(error) => {
            output::error(format_args!("cannot delete {what}: {error}"))?;
            return Ok(false);
        }
    }
    Ok(true)
}
