//! `policy fixes`: the patches that the operator left to those who manage workloads themselves.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use crate::cluster::{self, Cluster};
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, namespace};
use crate::output::{self, to_stdout};
use crate::policy::{DevOpsPolicy, EnforcementMode, GitOpsMode, PolicyAuditResult, SuggestedFix};
use crate::remediation;

/// Print the patches that a policy has for workloads which a GitOps tool manages, ready for their sources.
///
/// They come from the newest PolicyAuditResult of each policy that enforces; where that has no room for all of them,
/// they are planned anew, which takes the right to read what `policy rehearse` reads. Each is a document for `patches:`
/// of a kustomization.yaml, or for `kubectl patch --type=strategic`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The policy [default: every policy of the namespace]
    name: Option<String>,

    /// The namespace [default: that of the context]
    #[arg(short, long, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,

    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    let namespace = args.namespace.as_deref().unwrap_or(&cluster.default_namespace);
    let client = cluster.client.clone();
    let results = if args.all_namespaces {
        Api::<PolicyAuditResult>::all(client)
    } else {
        Api::namespaced(client, namespace)
    };
    let all = cluster.call(async |_| results.list(&ListParams::default()).await).await;
    let all = all.context("cannot list the PolicyAuditResults")?.items;
    let wanted =
        |result: &PolicyAuditResult| args.name.as_ref().is_none_or(|name| *name == result.spec.policy_name);
    let mut newest: BTreeMap<(String, String), PolicyAuditResult> = BTreeMap::new();
    for result in all.into_iter().filter(wanted) {
        let key = (result.namespace().unwrap_or_default(), result.spec.policy_name.clone());
        let known = newest.get(&key);
        if known.is_none_or(|known| known.spec.timestamp < result.spec.timestamp) {
            newest.insert(key, result);
        }
    }
    let client = cluster.client.clone();
    let policies: Api<DevOpsPolicy> =
        if args.all_namespaces { Api::all(client) } else { Api::namespaced(client, namespace) };
    let policies = cluster.call(async |_| policies.list(&ListParams::default()).await).await;
    let policies = policies.context("cannot list the policies")?.items;
    // A result is as old as its violations, and the policy may ask for something else by now.
    newest.retain(|policy, _| policies.iter().any(|one| reports(one) && key(one) == *policy));
    let (mut printed, mut status) = (0, ExitStatus::Clean);
    for ((namespace, policy), result) in &newest {
        let kept = result.spec.fixes.len() as u64;
        let total = result.spec.total_fixes.unwrap_or(kept);
        let mut fixes = &result.spec.fixes;
        let planned;
        if kept < total {
            // A result has room for so many.
            match plan_anew(&cluster, namespace, policy, &policies).await {
                Ok(all) => {
                    planned = all;
                    fixes = &planned;
                }
                Err(error) => {
                    output::error(format_args!(
                        "{} of the {total} patches of policy {policy} in {namespace} are missing: its newest \
                         PolicyAuditResult has no room for them, and they can't be planned anew: {error:#}",
                        total - kept
                    ))?;
                    status = ExitStatus::Failed;
                }
            }
        }
        for fix in fixes {
            let patch: serde_json::Value = serde_json::from_str(&fix.patch)
                .with_context(|| format!("the fix of {}/{} is no JSON", fix.kind, fix.name))?;
            let yaml = yaml_serde::to_string(&patch)?;
            to_stdout(|out| {
                writeln!(out, "---\n# {}/{} in {namespace}, by policy {policy}", fix.kind, fix.name)?;
                out.exact().write_all(yaml.as_bytes())
            })?;
            printed += 1;
        }
    }
    if printed == 0 {
        if !args.all_namespaces && cluster.lacks_namespace(namespace).await {
            bail!("namespace {namespace:?} not found");
        }
        let place = if args.all_namespaces { String::new() } else { format!(" in namespace {namespace:?}") };
        if let Some(name) =
            args.name.as_ref().filter(|name| policies.iter().all(|one| one.name_any() != **name))
        {
            bail!("there is no policy {name:?}{place}");
        }
        output::note(format_args!(
            "no fixes{place}: they are for workloads that a GitOps tool manages, under a policy with enforcementMode \
             enforce and remediation.gitops report; an operator brings new ones within five minutes"
        ))?;
    }
    Ok(status)
}

/// Tells whether a policy leaves what a GitOps tool manages to its owner.
fn reports(policy: &DevOpsPolicy) -> bool {
    let gitops = policy.spec.remediation.as_ref().map(|remediation| remediation.gitops);
    policy.spec.enforcement_mode == EnforcementMode::Enforce
        && gitops.unwrap_or_default() == GitOpsMode::Report
}

fn key(policy: &DevOpsPolicy) -> (String, String) {
    (policy.namespace().unwrap_or_default(), policy.name_any())
}

/// Plans all patches of a policy, as the operator does.
async fn plan_anew(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    policies: &[DevOpsPolicy],
) -> anyhow::Result<Vec<SuggestedFix>> {
    let beside = policies.iter().filter(|policy| policy.namespace().as_deref() == Some(namespace));
    let all: Vec<DevOpsPolicy> = beside.cloned().collect();
    let policy = all.iter().find(|policy| policy.name_any() == name).context("the policy is gone")?;
    #[expect(clippy::disallowed_methods, reason = "the edge at which the clock is handed in")]
    let now = Timestamp::now();
    Ok(remediation::fixes(cluster, policy, &all, now).await?)
}
