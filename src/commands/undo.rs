//! `kube-devops undo`: reverts the patches of enforcement.

use anyhow::bail;

use super::ExitStatus;
use super::args::{ConnectArgs, NamespaceArgs};
use crate::cluster;
use crate::enforcement::{UndoResult, parse_target};
use crate::output;
use crate::remediation::{PatchedWorkload, UndoTarget, patched, preview, undo};
use crate::terminal::{self, note, to_stdout};

/// Revert the patches of one workload, of one policy, or all patches.
///
/// Prints the fields that were removed, and those that stay because another manager set the same value. A running operator
/// does not set a removed field again until its policy changes.
///
/// Exit status: 2 when something could not be reverted.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["workload", "policy", "all"])))]
pub(super) struct Args {
    /// One workload, as KIND/NAME such as deployment/web
    #[arg(value_name = "WORKLOAD")]
    workload: Option<String>,

    /// Every patch that the status of this policy records
    ///
    /// If the policy records nothing for a workload whose annotation names it, for example because the policy was deleted,
    /// this reverts all fields of that workload that no other policy records.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,

    /// Every patch, in all namespaces unless -n names one
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    namespace: NamespaceArgs,

    /// Only print what would be reverted
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let target = match (&args.workload, &args.policy) {
        (Some(text), _) => {
            let (kind, name) = parse_target(text)?;
            UndoTarget::Workload(kind, name)
        }
        (None, Some(policy)) => UndoTarget::Policy(policy),
        (None, None) => UndoTarget::All,
    };
    let cluster = cluster::connect(&args.connect.options()).await?;
    let namespace = args.namespace.or_default(&cluster);
    let everywhere = args.all && args.namespace.given().is_none();
    let found = patched(&cluster, namespace, everywhere, target).await?;
    if found.is_empty() {
        if !everywhere && cluster.lacks_namespace(namespace).await {
            bail!("namespace {namespace:?} not found");
        }
        let place = if everywhere { "any namespace".to_owned() } else { format!("namespace {namespace:?}") };
        note(format_args!("nothing to undo: enforcement owns no such field in {place}"))?;
    }
    let mut status = ExitStatus::Clean;
    for patched in &found {
        if let (UndoTarget::Policy(policy), false) = (target, patched.share.recorded) {
            note(format_args!(
                "policy {policy} has no record of {}: all fields that no other policy records count as its own",
                patched.subject.reference().kubectl_arguments()
            ))?;
        }
        let undone = if args.dry_run { preview(patched) } else { undo(&cluster, patched).await };
        match undone {
            Ok(undone) => {
                print(patched, &undone)?;
                if !undone.stays.is_empty() {
                    status = ExitStatus::Failed;
                }
            }
            Err(error) => {
                terminal::error(format_args!(
                    "cannot undo {}: {error:#}",
                    patched.subject.reference().kubectl_arguments()
                ))?;
                status = ExitStatus::Failed;
            }
        }
    }
    Ok(status)
}

fn print(patched: &PatchedWorkload, undone: &UndoResult) -> anyhow::Result<()> {
    to_stdout(|out| output::undone(undone, out))?;
    for pod in &undone.stuck {
        note(format_args!(
            "pod {pod} was not ready, and a StatefulSet may wait for it for ever: kubectl delete pod {pod} -n {}",
            patched.subject.namespace()
        ))?;
    }
    Ok(())
}
