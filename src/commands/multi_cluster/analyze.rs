//! `kube-devops multi-cluster analyze`: one report on many clusters.

use anyhow::Context as _;
use jiff::Timestamp;

use super::choice::ContextArgs;
use super::contexts::KubeconfigArgs;
use super::rows::{Request, read, rows};
use crate::cluster::Cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{ScopeArgs, bundle};
use crate::commands::progress_spinner::ProgressSpinner;
use crate::fleet::{Member, survey};
use crate::governance::FleetReport;
use crate::output::FleetFormat;
use crate::policy::{EffectivePolicy, drift};
use crate::terminal::to_stdout;

/// Score the pods of many clusters at once, and compare their policies.
///
/// Each cluster has its own time limit. One that cannot be read is listed with the reason, makes the result partial, and
/// does not delay the others. Contexts of the same cluster count once. Exec plugins run once for a server and a user, and can't
/// prompt.
///
/// Exit status: 2 when a cluster could not be read as a whole.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    contexts: ContextArgs,

    /// Evaluate under a bundle: a name that `policy bundle-list` shows, or the path of a bundle of your own
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<String>,

    /// Add the whole report of each cluster
    #[arg(long)]
    per_cluster: bool,

    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: FleetFormat,

    #[command(flatten)]
    scope: ScopeArgs,

    #[command(flatten)]
    kubeconfig: KubeconfigArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let policy = match &args.bundle {
        Some(name) => bundle(name).context("--bundle")?.policy().clone(),
        None => EffectivePolicy::default(),
    };
    let scope = args.scope.scope()?;
    let selector = args.scope.selector();
    let members: Vec<Member> =
        args.contexts.chosen(&args.kubeconfig).await?.into_iter().map(|known| known.member).collect();
    #[expect(clippy::disallowed_methods, reason = "a one-shot command reads the clock once, here")]
    let now = Timestamp::now();
    let progress = ProgressSpinner::start();
    let request = Request { policy: &policy, scope: &scope, selector, now, keep: args.per_cluster };
    let work = async |_: &Member, cluster: &Cluster| read(cluster, &request, &progress).await;
    let surveyed = survey(&members, args.kubeconfig.limits(), work).await;
    drop(progress);
    let (clusters, policies) = rows(surveyed)?;
    let report = FleetReport::new(&policy, clusters, drift(&policies), args.per_cluster);
    to_stdout(|out| args.output.write(&report, out))?;
    Ok(if report.summary.partial { ExitStatus::Failed } else { ExitStatus::Clean })
}
