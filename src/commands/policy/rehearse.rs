//! `kube-devops policy rehearse`: a dry run of a policy's patches.

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{BudgetArgs, ConnectArgs, NamespaceArgs, SystemNamespaceArgs};
use crate::enforcement::RehearsalOutcome;
use crate::output::rehearsal;
use crate::policies;
use crate::policy::CompiledPolicy;
use crate::remediation;
use crate::terminal::{note, to_stdout};

/// Show what a policy would do in mode enforce: sends every patch as a server-side dry run, and changes nothing.
///
/// Prints for each workload the diff, its owners, the disruption budgets, autoscalers and quotas that apply to it, and
/// the reason if it would be refused or skipped. The last line estimates the total time under the limits of the policy
/// and the operator.
///
/// Exit status: 1 when the API server would refuse a patch.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the policy, in any mode; of a cluster policy, cluster/NAME
    name: String,

    #[command(flatten)]
    namespace: NamespaceArgs,

    #[command(flatten)]
    system: SystemNamespaceArgs,

    #[command(flatten)]
    budgets: BudgetArgs,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    let namespace = args.namespace.or_default(&cluster);
    if args.system.with([]).contains(namespace) {
        bail!("{namespace:?} is a system namespace: policies change nothing there");
    }
    let all = policies::list(&cluster, Some(namespace)).await.context("cannot list the policies")?;
    let all: Vec<CompiledPolicy> = all.into_values().flatten().collect();
    let Some(policy) = all.iter().find(|known| known.policy.name_any() == args.name) else {
        let known: Vec<String> = all.iter().map(|known| known.policy.name_any()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        bail!("there is no policy {:?} in namespace {namespace:?}; there: {known}", args.name);
    };
    #[expect(clippy::disallowed_methods, reason = "a one-shot command reads the clock once, here")]
    let now = Timestamp::now();
    let rehearsed = remediation::rehearse_policy(&cluster, policy, &all, now).await?;
    if rehearsed.is_empty() {
        note("nothing to do: no workload breaks a rule of the policy that has a fix")?;
        return Ok(ExitStatus::Clean);
    }
    let remediation = policy.policy.spec.remediation.clone().unwrap_or_default();
    to_stdout(|out| rehearsal(&rehearsed, &args.name, &remediation, args.budgets.limits(), out))?;
    let refused = rehearsed.iter().any(|one| matches!(one.outcome, RehearsalOutcome::Refused { .. }));
    Ok(if refused { ExitStatus::Findings } else { ExitStatus::Clean })
}
