//! `kube-devops multi-cluster list-contexts`.

use super::contexts::KubeconfigArgs;
use crate::commands::ExitStatus;
use crate::fleet::{MemberResult, survey};
use crate::output::{Cell, table};
use crate::terminal::to_stdout;

/// List the contexts of the kubeconfig files, or the ClusterProfiles of a hub, and try to reach the cluster of each.
///
/// An exec plugin of a context runs and can't prompt.
///
/// Exit status: 2 when a cluster could not be reached.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    kubeconfig: KubeconfigArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let known = args.kubeconfig.known().await?;
    let members: Vec<_> = known.iter().map(|known| known.member.clone()).collect();
    let surveyed = survey(&members, args.kubeconfig.limits(), async |_, _| Ok(())).await;
    let mut status = ExitStatus::Clean;
    let mut rows: Vec<[Cell<'_>; 6]> = Vec::new();
    for (known, surveyed) in known.iter().zip(&surveyed) {
        let (version, server, reach) = match &surveyed.result {
            MemberResult::Done(reached, ()) => (&*reached.version, &*reached.server, "reachable".to_owned()),
            MemberResult::SameAs(other) => ("-", "-", format!("reachable, the cluster of {other}")),
            MemberResult::Failed(reason) => {
                status = ExitStatus::Failed;
                ("-", "-", reason.clone())
            }
        };
        let current = if known.context.is_current { "*" } else { "" };
        rows.push([
            current.into(),
            known.member.name.as_str().into(),
            known.context.cluster.as_str().into(),
            version.into(),
            server.into(),
            reach.into(),
        ]);
    }
    to_stdout(|out| {
        table(["CURRENT", "CONTEXT", "CLUSTER", "VERSION", "SERVER", "RESULT"], rows.iter().cloned(), out)
    })?;
    Ok(status)
}
