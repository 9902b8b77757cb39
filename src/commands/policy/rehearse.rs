//! `policy rehearse`: what a policy would do if it enforced, without doing it.

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{BudgetArgs, ConnectArgs, namespace};
use crate::enforcement::Outcome;
use crate::output::{rehearsal, to_stderr, to_stdout};
use crate::policy::{CompiledPolicy, DevOpsPolicy, SystemNamespaces};
use crate::remediation;

/// Show what a policy would do if it enforced: every patch as a server dry run, and nothing is changed.
///
/// For each workload: the diff, who owns it, what disruption budgets, autoscalers and quotas bear on it, what the API
/// server would refuse, or why it would be left alone; then how long all of it would take under the policy's and the
/// operator's budgets. Ends with status 1 when
/// something would be refused.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The policy, in whatever mode it is now
    name: String,

    /// The namespace [default: that of the context]
    #[arg(short, long, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,

    /// Count this namespace as a system namespace too (repeatable)
    #[arg(long, value_name = "NAME")]
    system_namespace: Vec<String>,

    #[command(flatten)]
    budgets: BudgetArgs,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    let namespace = args.namespace.as_deref().unwrap_or(&cluster.default_namespace);
    if SystemNamespaces::with(args.system_namespace.clone()).contains(namespace) {
        bail!("{namespace:?} is a system namespace, in which policies change nothing");
    }
    let policies = Api::<DevOpsPolicy>::namespaced(cluster.client.clone(), namespace);
    let all = cluster.call(async |_| policies.list(&ListParams::default()).await).await;
    let all = all.context("cannot list the policies")?.items;
    let all: Vec<CompiledPolicy> = all.into_iter().map(CompiledPolicy::new).collect();
    let Some(policy) = all.iter().find(|known| known.policy.name_any() == args.name) else {
        let known: Vec<String> = all.iter().map(|known| known.policy.name_any()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        bail!("there is no policy {:?} in namespace {namespace:?}; there: {known}", args.name);
    };
    #[expect(clippy::disallowed_methods, reason = "the edge at which the clock is handed in")]
    let now = Timestamp::now();
    let rehearsed = remediation::rehearse_policy(&cluster, policy, &all, now).await?;
    if rehearsed.is_empty() {
        to_stderr(|err| {
            writeln!(err, "nothing to do: no workload breaks a rule of the policy that has a fix")
        })?;
        return Ok(ExitStatus::Clean);
    }
    let remediation = policy.policy.spec.remediation.clone().unwrap_or_default();
    to_stdout(|out| rehearsal(&rehearsed, &args.name, &remediation, args.budgets.limits(), out))?;
    let refused = rehearsed.iter().any(|one| matches!(one.outcome, Outcome::Refused { .. }));
    Ok(if refused { ExitStatus::Findings } else { ExitStatus::Clean })
}
