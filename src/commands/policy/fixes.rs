//! `kube-devops policy fixes`: prints the patches that the operator leaves to a GitOps tool.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use crate::cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, NamespaceArgs};
use crate::policy::SuggestedFix;
use crate::remediation::{PolicyFixes, suggestions};
use crate::terminal::{self, note, to_stdout};
use crate::workload::PolicyRef;
use crate::yaml;

/// Print the patches of a policy for workloads that a GitOps tool manages, ready for their sources.
///
/// Each patch is a document for `patches:` of a kustomization.yaml, or for `kubectl patch --type=strategic`. They are
/// read from the newest PolicyAuditResult of each policy in mode enforce. If that has no room for all of them, they are
/// planned again, with the permissions of `policy rehearse`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the policy [default: every policy of the namespace]
    name: Option<String>,

    #[command(flatten)]
    namespace: NamespaceArgs,

    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    let namespace = (!args.all_namespaces).then(|| args.namespace.or_default(&cluster));
    #[expect(clippy::disallowed_methods, reason = "a one-shot command reads the clock once, here")]
    let now = Timestamp::now();
    let suggestions = suggestions(&cluster, namespace, args.name.as_deref(), now).await;
    let suggestions = suggestions.context("cannot read the policies and their PolicyAuditResults")?;
    let mut status = ExitStatus::Clean;
    for found in &suggestions.found {
        let PolicyFixes { policy, fixes, missing } = found;
        if let Some((count, why)) = missing {
            terminal::error(format_args!(
                "{count} patches of policy {policy} are missing: its newest PolicyAuditResult has no \
                 room for them, and they cannot be planned again: {why}"
            ))?;
            status = ExitStatus::Failed;
        }
        fixes.iter().try_for_each(|fix| print(fix, policy))?;
    }
    if suggestions.found.iter().all(|found| found.fixes.is_empty()) {
        if let Some(namespace) = namespace
            && cluster.lacks_namespace(namespace).await
        {
            bail!("namespace {namespace:?} not found");
        }
        let place = namespace.map_or_else(String::new, |name| format!(" in namespace {name:?}"));
        if let Some(name) = args.name.as_ref().filter(|name| !suggestions.policies.contains(name)) {
            bail!("there is no policy {name:?}{place}");
        }
        note(format_args!(
            "no fixes{place}: they are for workloads that a GitOps tool manages, under a policy with enforcementMode \
             enforce and remediation.gitops report; an operator brings new ones within five minutes"
        ))?;
    }
    Ok(status)
}

fn print(fix: &SuggestedFix, policy: &PolicyRef) -> anyhow::Result<()> {
    let workload = fix.workload();
    let patch: serde_json::Value =
        serde_json::from_str(&fix.patch).with_context(|| format!("the fix of {workload} is not JSON"))?;
    let yaml = yaml::to_string(&patch)?;
    let about = [format!("{}, by policy {policy}", workload.within(&policy.namespace))];
    // A comment must not end before its line does.
    let comments = about.iter().chain(&fix.reasons).map(|line| format!("# {}", line.replace('\n', " ")));
    let comments = comments.collect::<Vec<_>>().join("\n");
    to_stdout(|out| {
        writeln!(out, "---\n{comments}")?;
        out.exact().write_all(yaml.as_bytes())
    })?;
    Ok(())
}
