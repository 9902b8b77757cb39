//! `kube-devops policy retry`: asks for another attempt on a workload.

use std::io::Write as _;

use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, NamespaceArgs};
use crate::enforcement::parse_target;
use crate::policy::EnforcementMode;
use crate::remediation;
use crate::terminal::{note, to_stdout};

/// Let the operator patch a workload again at once, although an earlier patch failed or was withdrawn.
///
/// Sets the annotation devops.stochastic.io/retry of the workload to the present time. It counts until the next patch of
/// the workload has ended. Fields that others removed from the workload stay removed.
///
/// Exit status: 2 when no policy skips the workload.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The workload, as KIND/NAME such as deployment/web
    #[arg(value_name = "WORKLOAD")]
    workload: String,

    #[command(flatten)]
    namespace: NamespaceArgs,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let (kind, name) = parse_target(&args.workload)?;
    let cluster = cluster::connect(&args.connect.options()).await?;
    let namespace = args.namespace.or_default(&cluster);
    #[expect(clippy::disallowed_methods, reason = "a one-shot command reads the clock once, here")]
    let now = Timestamp::now();
    for policy in remediation::retry(&cluster, kind, namespace, name, now).await? {
        let (kind, policy_name) = (kind.name().to_lowercase(), policy.name_any());
        if policy.is_stopped() {
            note(format_args!(
                "policy {policy_name} patches nothing after several withdrawals in a row, until it changes"
            ))?;
        } else if policy.spec.enforcement_mode == EnforcementMode::Audit {
            note(format_args!("policy {policy_name} is in mode audit, and patches nothing"))?;
        }
        to_stdout(|out| {
            writeln!(out, "{kind}/{name} -n {namespace}: policy {policy_name} may patch it again")
        })?;
    }
    Ok(ExitStatus::Clean)
}
