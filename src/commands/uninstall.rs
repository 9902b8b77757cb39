//! `uninstall`: removes what remains of kube-devops in a cluster.

mod removal;

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;

use super::ExitStatus;
use super::args::{ConnectArgs, namespace};
use super::leaders;
use super::policy::release;
use crate::cluster::{self, Cluster};
use crate::manifests::installation::{APP, DEFAULT_NAMESPACE};
use crate::manifests::{RECONCILE_LEASE, WATCH_LEASE, WEBHOOK_LEASE, crd_leftovers, leftovers};
use crate::operator::{self, ReleaseStep};
use crate::terminal::to_stdout;

/// The time that pods get to end: more than twice the longest `terminationGracePeriodSeconds` of ours.
const PATIENCE: Duration = Duration::from_mins(2);

/// Remove everything of kube-devops that a cluster keeps when its Deployments are deleted.
///
/// Delete the Deployments first, or set --stop: a running operator creates some of these objects again, and a note names
/// it. This removes the finalizers of policies, the admission policies, the budgets of enforcement and the Leases.
/// Patched workloads stay as they are; run `kube-devops undo --all` first to withdraw the patches. The CRDs, and with
/// them all policies, stay without --crds.
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
    leaders::note(&cluster, Some(&args.namespace), &[WATCH_LEASE, RECONCILE_LEASE, WEBHOOK_LEASE]).await?;
    let mut clean = true;
    // The deletion of a CRD would wait for a policy that still has the finalizer.
    let mut report = |step: ReleaseStep| {
        clean &= !matches!(step, ReleaseStep::Failed(_));
        release::print(&step)
    };
    operator::release(&cluster, None, &mut report).await?;
    let mut objects = leftovers(&args.namespace);
    if args.crds && clean {
        objects.extend(crd_leftovers());
    }
    clean &= removal::remove_all(&cluster, objects).await?;
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
