//! `list pods`: where the pods are.

use super::ExitStatus;
use super::args::{ConnectArgs, namespace};
use super::progress::Progress;
use crate::cluster::{self, ListRequest, Listing};
use crate::governance::parse_selector;
use crate::output::{columns, to_stderr, to_stdout};
use anyhow::Context as _;
use serde::Deserialize;

/// List what the cluster runs.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// What to list
    #[command(subcommand)]
    what: What,
}

/// What can be listed.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum What {
    /// List pods, with their phases and nodes
    Pods(PodArgs),
}

/// List pods, with their phases and nodes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PodArgs {
    /// A namespace, repeatable [default: all]
    #[arg(short, long = "namespace", value_name = "NAME", value_parser = namespace)]
    namespaces: Vec<String>,

    /// All namespaces, which is the default, whatever -n says
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// A label selector, such as app=web,tier!=cache
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,

    /// Which cluster to talk to
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Deserialize)]
struct Pods {
    items: Option<Vec<Pod>>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Metadata {
    namespace: String,
    name: String,
}

#[derive(Debug, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
}

#[derive(Debug, PartialEq, Default, Deserialize)]
struct Status {
    phase: Option<String>,
}

/// Runs `list`.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let What::Pods(args) = args.what;
    args.selector.as_deref().map(parse_selector).transpose().context("--selector")?;
    let cluster = cluster::connect(&args.connect.options()).await?;
    let namespaces = if args.all_namespaces { Vec::new() } else { args.namespaces };
    let request = ListRequest { namespaces, selector: args.selector };
    let progress = Progress::start();
    let add = |pods: &mut Vec<Pod>, page: &str| {
        let before = pods.len();
        add(pods, page)?;
        progress.add((pods.len() - before) as u64);
        Ok(())
    };
    let listing = cluster::list_pods(&cluster, &request, |_| false, Vec::new, add).await;
    drop(progress);
    to_stderr(|err| listing.unread.iter().try_for_each(|unread| writeln!(err, "error: {unread}")))?;
    let failed = !listing.unread.is_empty();
    let rows = rows(listing);
    if rows.len() > 1 {
        to_stdout(|out| columns(&rows, out))?;
    } else if !failed {
        to_stderr(|err| writeln!(err, "no pods found"))?;
    }
    Ok(if failed { ExitStatus::Failed } else { ExitStatus::Clean })
}

fn add(pods: &mut Vec<Pod>, page: &str) -> Result<(), serde_json::Error> {
    pods.extend(serde_json::from_str::<Pods>(page)?.items.unwrap_or_default());
    Ok(())
}

fn rows(listing: Listing<Vec<Pod>>) -> Vec<Vec<String>> {
    let mut pods: Vec<_> = listing.parts.into_iter().flatten().collect();
    pods.sort_by(|a, b| a.metadata.cmp(&b.metadata));
    let or = |text: Option<String>, or: &str| {
        text.filter(|text| !text.is_empty()).unwrap_or_else(|| or.to_owned())
    };
    let header = ["NAMESPACE", "NAME", "PHASE", "NODE"].map(str::to_owned).to_vec();
    let row = |pod: Pod| {
        let Metadata { namespace, name } = pod.metadata;
        vec![namespace, name, or(pod.status.phase, "Unknown"), or(pod.spec.node_name, "<none>")]
    };
    std::iter::once(header).chain(pods.into_iter().map(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_all_pages_are_sorted_and_aligned() {
        let mut parts = vec![Vec::new(), Vec::new()];
        add(
            &mut parts[0],
            r#"{"kind":"PodList","items":[
                {"metadata":{"namespace":"shop","name":"web-10"},"spec":{"nodeName":"n1"},"status":{"phase":"Running"}},
                {"metadata":{"namespace":"shop","name":"web"},"spec":{},"status":{"phase":"Pending"}}]}"#,
        )
        .unwrap();
        add(&mut parts[1], r#"{"kind":"PodList","items":[{"metadata":{"namespace":"a","name":"z"}}]}"#)
            .unwrap();
        add(&mut parts[1], r#"{"kind":"PodList","items":null}"#).unwrap();
        let mut out = Vec::new();
        columns(&rows(Listing { parts, unread: Vec::new(), skipped: Vec::new() }), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "NAMESPACE   NAME     PHASE     NODE\n\
             a           z        Unknown   <none>\n\
             shop        web      Pending   <none>\n\
             shop        web-10   Running   n1\n"
        );
    }
}
