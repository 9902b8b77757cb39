//! `kube-devops multi-cluster status`.

use super::choice::ContextArgs;
use super::contexts::KubeconfigArgs;
use crate::cluster::Cluster;
use crate::commands::ExitStatus;
use crate::fleet::{Member, MemberResult, Surveyed, survey};
use crate::governance::{ClusterResult, ClusterStatus, FleetStatus};
use crate::output::FleetFormat;
use crate::policies::{PolicySummaries, summaries};
use crate::terminal::{note, to_stdout};

/// Show the status of the policies of many clusters, as their operators have written it.
///
/// It reads each cluster's policies in one request for each of both kinds, and no pods. Contexts of the same cluster count once.
///
/// Exit status: 2 when a cluster could not be read.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    contexts: ContextArgs,

    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: FleetFormat,

    #[command(flatten)]
    kubeconfig: KubeconfigArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let members: Vec<Member> =
        args.contexts.chosen(&args.kubeconfig).await?.into_iter().map(|known| known.member).collect();
    let work = async |_: &Member, cluster: &Cluster| {
        summaries(cluster).await.map_err(|error| format!("cannot list policies: {error}"))
    };
    let (mut clusters, mut policies) = (Vec::new(), Vec::new());
    for surveyed in survey(&members, args.kubeconfig.limits(), work).await {
        let (row, found) = row(surveyed);
        if let Some(PolicySummaries { policies: found, notes }) = found {
            notes.iter().try_for_each(|text| note(format_args!("{}: {text}", row.context)))?;
            policies.push((row.context.clone(), found));
        }
        clusters.push(row);
    }
    let status = FleetStatus::new(clusters, &policies);
    to_stdout(|out| args.output.write_status(&status, out))?;
    Ok(if status.summary.partial { ExitStatus::Failed } else { ExitStatus::Clean })
}

/// Makes the row of a context, and returns the policies of its cluster.
fn row(surveyed: Surveyed<PolicySummaries>) -> (ClusterStatus, Option<PolicySummaries>) {
    let Surveyed { name: context, result } = surveyed;
    let row = |result, reason, version| ClusterStatus { context, result, reason, version, figures: None };
    match result {
        MemberResult::Done(reached, found) => {
            let none = found.policies.is_empty().then(|| "no policies".to_owned());
            (row(ClusterResult::Analyzed, none, Some(reached.version)), Some(found))
        }
        MemberResult::SameAs(other) => {
            (row(ClusterResult::SameCluster, Some(format!("counted as {other}")), None), None)
        }
        MemberResult::Failed(reason) => (row(ClusterResult::Failed, Some(reason), None), None),
    }
}
