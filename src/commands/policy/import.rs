//! `kube-devops policy import`: applies the policies of files to a cluster.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::bail;

use super::import_lines::print;
use crate::cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, NamespaceArgs, label_value};
use crate::policies::{Import, ImportError, ImportStep, import};
use crate::policy::PolicyDocument;
use crate::terminal;

/// Apply the policies of files by server-side apply: cluster policies first, then by namespace and name.
///
/// The API server checks all of them first. If it refuses one, nothing is changed. A setting that somebody else changed
/// stays, and is reported as a conflict. A line is printed for each policy when its step is done.
///
/// Exit status: 2 when not everything was done. The same command can be run again.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Files, directories, URLs or quoted patterns, or - for standard input (repeatable, or with commas)
    #[arg(short = 'f', long, value_name = "PATH", required = true)]
    filename: Vec<PathBuf>,

    /// Read subdirectories too
    #[arg(short = 'R', long)]
    recursive: bool,

    /// Namespace of policies that name none [default: that of the context]
    #[command(flatten)]
    namespace: NamespaceArgs,

    /// Let the API server check everything, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Name of the set that these policies make, which becomes a label on each
    #[arg(long, value_name = "NAME", value_parser = label_value)]
    set: Option<String>,

    /// Delete the policies of the set that are not in the input, cluster policies and those in all namespaces
    #[arg(long, requires = "set")]
    prune: bool,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let mut policies = super::files::read(&args.filename, args.recursive)?;
    if let Some(directory) = super::files::unread_subdirectory(&args.filename, args.recursive) {
        let shown = directory.display();
        if args.prune {
            bail!("{shown} is not read, so --prune would delete its policies: add -R");
        }
        terminal::note(format_args!("{shown} is not read: -R reads subdirectories"))?;
    }
    if policies.is_empty() {
        bail!("there is no DevOpsPolicy or ClusterDevOpsPolicy in the input, so nothing was changed");
    }
    let cluster = cluster::connect(&args.connect.options()).await?;
    for policy in policies.iter_mut().filter(|policy| !policy.is_cluster) {
        match (&policy.namespace, args.namespace.given()) {
            (Some(own), Some(given)) if own != given => {
                bail!("policy {} is in another namespace than -n {given}: leave -n out", policy.shown_name())
            }
            (Some(_), _) => {}
            (None, _) => policy.namespace = Some(args.namespace.or_default(&cluster).to_owned()),
        }
    }
    policies.sort_by_key(PolicyDocument::key);
    if let Some([one, _]) = policies.array_windows().find(|[one, other]| one.key() == other.key()) {
        bail!("policy {} is in the input twice: take one out", one.shown_name());
    }
    let plan = Import { policies, set: args.set.clone(), prune: args.prune, dry_run: args.dry_run };
    let (mut failed, mut done) = (Vec::new(), 0);
    let mut open: BTreeSet<String> = plan.policies.iter().map(PolicyDocument::shown_name).collect();
    let result = import(&cluster, &plan, &mut |step| {
        match &step {
            ImportStep::Failed(policy, _) | ImportStep::OtherSet(policy, _) => failed.push(policy.clone()),
            ImportStep::Applied(policy, _) | ImportStep::Pruned(policy) => {
                open.remove(policy);
                done += 1;
            }
        }
        print(&step, args.dry_run)
    })
    .await;
    match result {
        Ok(true) => return Ok(ExitStatus::Clean),
        Ok(false) => {}
        Err(error) => {
            if let ImportError::Ended { .. } = error {
                let names = open.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                let (count, all) = (open.len(), plan.policies.len());
                terminal::error(format_args!("{count} of {all} policies were not imported: {names}"))?;
            }
            return Err(error.into());
        }
    }
    let rest =
        if done == 0 { "nothing was changed" } else { "every other line above was done, and nothing else" };
    let (count, all) = (failed.len(), plan.policies.len());
    terminal::error(format_args!(
        "{count} of {all} policies were not imported: {}; {rest}",
        failed.join(", ")
    ))?;
    Ok(ExitStatus::Failed)
}
