//! `kube-devops list pods`.

use super::ExitStatus;
use super::args::{ConnectArgs, NamespacesArgs, SelectorArgs};
use super::progress_spinner::ProgressSpinner;
use crate::cluster::{self, ListRequest, Listing};
use crate::output::{Cell, Text, table};
use crate::terminal::{self, to_stdout};
use serde::Deserialize;
use std::io;

/// List objects of the cluster.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    Pods(PodArgs),
}

/// List pods with their phases and nodes.
#[derive(Clone, Debug, clap::Args)]
struct PodArgs {
    #[command(flatten)]
    namespaces: NamespacesArgs,

    #[command(flatten)]
    selector: SelectorArgs,

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
    args.selector.parsed()?;
    let cluster = cluster::connect(&args.connect.options()).await?;
    let request = ListRequest { namespaces: args.namespaces.names(), selector: args.selector.text() };
    let progress = ProgressSpinner::start();
    let add = |pods: &mut Vec<Pod>, page: &str| {
        let before = pods.len();
        add(pods, page)?;
        progress.add((pods.len() - before) as u64);
        Ok(())
    };
    let listing = cluster::list_pods(&cluster, &request, |_| false, Vec::new, add).await;
    drop(progress);
    listing.unread.iter().try_for_each(terminal::error)?;
    let failed = !listing.unread.is_empty();
    let pods = sorted(listing);
    if !pods.is_empty() {
        to_stdout(|out| write(&pods, out))?;
    } else if !failed {
        terminal::note("no pods found")?;
    }
    Ok(if failed { ExitStatus::Failed } else { ExitStatus::Clean })
}

fn add(pods: &mut Vec<Pod>, page: &str) -> Result<(), serde_json::Error> {
    pods.extend(serde_json::from_str::<Pods>(page)?.items.unwrap_or_default());
    Ok(())
}

fn sorted(listing: Listing<Vec<Pod>>) -> Vec<Pod> {
    let mut pods: Vec<_> = listing.parts.into_iter().flatten().collect();
    pods.sort_by(|a, b| a.metadata.cmp(&b.metadata));
    pods
}

fn write(pods: &[Pod], out: &mut Text<'_>) -> io::Result<()> {
    let rows = pods.iter().map(|pod| {
        let phase = pod.status.phase.as_deref().filter(|phase| !phase.is_empty());
        let node = pod.spec.node_name.as_deref().filter(|node| !node.is_empty());
        let Metadata { namespace, name } = &pod.metadata;
        [&**namespace, &**name, phase.unwrap_or("Unknown"), node.unwrap_or("<none>")].map(Cell::from)
    });
    table(["NAMESPACE", "NAME", "PHASE", "NODE"], rows, out)
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
        let pods = sorted(Listing { parts, unread: Vec::new(), skipped: Vec::new() });
        write(&pods, &mut Text::plain(&mut out)).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "NAMESPACE   NAME     PHASE     NODE\n\
             a           z        Unknown   <none>\n\
             shop        web      Pending   <none>\n\
             shop        web-10   Running   n1\n"
        );
    }
}
