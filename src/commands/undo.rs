//! `undo`: takes out what enforcement has set, told by managed fields and with no operator running; which of it is
//! whose policy's, by records.

use std::collections::BTreeSet;
use std::io::Write as _;

use anyhow::{Context as _, bail};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use super::ExitStatus;
use super::args::{ConnectArgs, namespace};
use crate::cluster::{self, Cluster, retry_on_conflict};
use crate::enforcement::{ContainerField, KINDS, Share, Subject, is_ready, share};
use crate::output::{self, to_stdout};
use crate::policy::DevOpsPolicy;
use crate::remediation::{self, ApplyError, Withdrawal};
use crate::workload::WorkloadKind;

/// Take out of workloads what enforcement has set there, so that they are as their owners want them.
///
/// Says which fields went, and which stay because somebody else set them too. An operator that still enforces doesn't set
/// a field again that was taken out, until its policy changes. Ends with status 2 where something could not be undone.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["workload", "policy", "all"])))]
pub(super) struct Args {
    /// One workload, as KIND/NAME such as deployment/web
    #[arg(value_name = "WORKLOAD")]
    workload: Option<String>,

    /// What was set for this policy, going by its records; where it has none of a workload whose annotation names it,
    /// as when it is deleted, all that no other policy has a record of
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,

    /// Every workload that is patched, in all namespaces unless -n names one
    #[arg(long)]
    all: bool,

    /// The namespace [default: that of the context; with --all, all of them]
    #[arg(short, long, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,

    /// Only say what would be taken out
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let named = args.workload.as_deref().map(workload).transpose()?;
    let cluster = cluster::connect(&args.connect.options()).await?;
    let namespace = args.namespace.as_deref().unwrap_or(&cluster.default_namespace);
    let policy = args.policy.as_deref();
    let policies = if policy.is_some() { policies(&cluster, namespace).await? } else { Vec::new() };
    let found = if let Some((kind, name)) = named {
        let found = remediation::fetch(&cluster, kind, namespace, name).await?;
        let missing = || format!("there is no {} {name:?} in namespace {namespace:?}", kind.name());
        vec![found.with_context(missing)?]
    } else {
        let everywhere = args.all && args.namespace.is_none();
        let wanted = |subject: &Subject| share(subject, policy, &policies).is_some();
        let found = remediation::find(&cluster, (!everywhere).then_some(namespace), wanted).await?;
        let known = |name: &str| policies.iter().any(|policy| policy.name_any() == name);
        if let Some(policy) = policy.filter(|policy| found.is_empty() && !known(policy)) {
            bail!(
                "namespace {namespace:?} has no policy {policy:?}, and no workload that is patched for one of that name"
            );
        }
        found
    };
    let mut failed = false;
    let mut undone = 0;
    for subject in &found {
        let Some(share) = share(subject, policy, &policies) else { continue };
        undone += 1;
        if let (Some(policy), false) = (policy, share.recorded) {
            output::note(format_args!(
                "policy {policy} has no record of {}: all that no other policy has a record of counts as its own",
                label(subject)
            ))?;
        }
        match undo(&cluster, subject, &share, args.dry_run).await {
            Ok(whole) => failed |= !whole,
            Err(error) => {
                output::error(format_args!("cannot undo {}: {error:#}", label(subject)))?;
                failed = true;
            }
        }
    }
    if undone == 0 {
        let everywhere = args.all && args.namespace.is_none();
        if !everywhere && cluster.lacks_namespace(namespace).await {
            bail!("namespace {namespace:?} not found");
        }
        let place = if everywhere { "any namespace".to_owned() } else { format!("namespace {namespace:?}") };
        output::note(format_args!("nothing to undo: enforcement owns no such field in {place}"))?;
    }
    Ok(if failed { ExitStatus::Failed } else { ExitStatus::Clean })
}

/// The policies of a namespace; none in a cluster that doesn't know them any more.
async fn policies(cluster: &Cluster, namespace: &str) -> anyhow::Result<Vec<DevOpsPolicy>> {
    let policies = Api::<DevOpsPolicy>::namespaced(cluster.client.clone(), namespace);
    match cluster.call(async |_| policies.list(&ListParams::default()).await).await {
        Ok(found) => Ok(found.items),
        Err(error) if error.code() == Some(404) => Ok(Vec::new()),
        Err(error) => {
            Err(error).with_context(|| format!("cannot list the policies of namespace {namespace:?}"))
        }
    }
}

/// Says what an undo would take out; returns whether that is everything.
fn say_what_would_go(subject: &Subject, fields: &BTreeSet<ContainerField>) -> anyhow::Result<bool> {
    let what = label(subject);
    let tuned = remediation::tuned(subject, fields);
    let (stays, goes): (Vec<_>, Vec<_>) =
        fields.iter().partition(|of| !tuned.contains_key(of) && !subject.co_owners(of).is_empty());
    to_stdout(|out| {
        if fields.is_empty() || !goes.is_empty() {
            writeln!(out, "{what}: would take out {}", named(goes.into_iter()))?;
        }
        for (of, managers) in &tuned {
            writeln!(out, "{what}: with {of} would go what {} had set on it", names_of(managers))?;
        }
        for of in &stays {
            let managers = subject.co_owners(of);
            writeln!(out, "{what}: {of} would stay, because {} set the same value", names_of(&managers))?;
        }
        Ok(())
    })?;
    Ok(stays.is_empty())
}

/// Undoes one workload; returns whether everything that was to go is gone.
async fn undo(cluster: &Cluster, subject: &Subject, share: &Share, dry_run: bool) -> anyhow::Result<bool> {
    let Share { fields, rest_for, .. } = share;
    let rest_for = rest_for.as_deref();
    let what = label(subject);
    if dry_run {
        return say_what_would_go(subject, fields);
    }
    let stuck = stuck(cluster, subject).await?;
    // The controller of a workload writes it often while it rolls out.
    let attempt = async |number| {
        let subject = remediation::read_again(cluster, subject, number).await?;
        remediation::withdraw(cluster, &subject, fields, rest_for).await
    };
    let withdrawn = retry_on_conflict(attempt, |error| matches!(error, ApplyError::Stale)).await;
    let Withdrawal { remains, tuned, .. } = match withdrawn {
        Err(ApplyError::Gone) => return Ok(true),
        withdrawn => withdrawn?,
    };
    let gone = || fields.iter().filter(|of| !remains.contains_key(of));
    to_stdout(|out| {
        if fields.is_empty() || gone().next().is_some() {
            writeln!(out, "{what}: took out {}", named(gone()))?;
        }
        for (of, managers) in &tuned {
            writeln!(out, "{what}: with {of} went what {} had set on it", names_of(managers))?;
        }
        for (of, managers) in &remains {
            writeln!(out, "{what}: {of} stays, because {} set the same value", names_of(managers))?;
        }
        Ok(())
    })?;
    for pod in stuck {
        output::note(format_args!(
            "pod {pod} was not ready, and a StatefulSet may wait for it for ever: kubectl delete pod {pod} -n {}",
            subject.namespace()
        ))?;
    }
    Ok(remains.is_empty())
}

/// The pods of a `StatefulSet` that are not ready: it replaces none of them by itself.
async fn stuck(cluster: &Cluster, subject: &Subject) -> anyhow::Result<Vec<String>> {
    if subject.kind() != WorkloadKind::StatefulSet {
        return Ok(Vec::new());
    }
    let pods = remediation::pods(cluster, subject).await?;
    let stuck = pods.iter().filter(|pod| !is_ready(pod) && pod.metadata.deletion_timestamp.is_none());
    Ok(stuck.map(|pod| pod.name().to_owned()).collect())
}

/// Names fields; where others took out all of them, what is left is named.
fn named<'f>(fields: impl Iterator<Item = &'f ContainerField>) -> String {
    let names: Vec<String> = fields.map(ToString::to_string).collect();
    if names.is_empty() { "what others left of a patch".to_owned() } else { names.join(", ") }
}

fn names_of(managers: &BTreeSet<String>) -> String {
    managers.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn label(subject: &Subject) -> String {
    format!("{}/{} -n {}", subject.kind().name().to_lowercase(), subject.name(), subject.namespace())
}

/// Reads KIND/NAME with kubectl's names of the kinds.
fn workload(text: &str) -> anyhow::Result<(WorkloadKind, &str)> {
    let Some((kind, name)) = text.split_once('/').filter(|(_, name)| !name.is_empty()) else {
        bail!("{text:?} is not KIND/NAME: give one such as deployment/web");
    };
    let kind = kind.split('.').next().unwrap_or_default().to_lowercase();
    let found = KINDS.into_iter().find(|known| {
        let long = known.name().to_lowercase();
        let short = match known {
            WorkloadKind::Deployment => "deploy",
            WorkloadKind::StatefulSet => "sts",
            _ => "ds",
        };
        kind == long || kind == format!("{long}s") || kind == short
    });
    let Some(found) = found else {
        bail!("{text:?}: enforcement patches deployments, statefulsets and daemonsets, and no {kind}");
    };
    Ok((found, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_named_as_with_kubectl() {
        for (text, kind) in [
            ("deployment/web", WorkloadKind::Deployment),
            ("deploy/web", WorkloadKind::Deployment),
            ("Deployments.apps/web", WorkloadKind::Deployment),
            ("sts/web", WorkloadKind::StatefulSet),
            ("daemonset/web", WorkloadKind::DaemonSet),
            ("ds/web", WorkloadKind::DaemonSet),
        ] {
            assert_eq!(workload(text).unwrap(), (kind, "web"), "{text}");
        }
        for wrong in ["web", "deployment/", "job/web", "/web"] {
            assert!(workload(wrong).is_err(), "{wrong}");
        }
    }
}
