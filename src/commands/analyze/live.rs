//! Feeds the pods of a live cluster to an analysis, page by page.

use serde::Deserialize;

use super::related;
use crate::cluster::{self, Cluster, ConnectOptions, ListRequest, RawObject};
use crate::commands::{annotations, progress_spinner::ProgressSpinner};
use crate::files;
use crate::governance::{Analysis, ReportError, Scope};
use crate::workload::{Kind, Kinds, Object, Parsed, Workload, WorkloadKind};

/// The parts of a cluster that were left out.
#[derive(Default)]
pub(in crate::commands) struct LeftOut {
    /// The system namespaces that were not read.
    pub(in crate::commands) namespaces: Vec<String>,
    /// Notes about kinds that could not be listed.
    pub(in crate::commands) notes: Vec<String>,
}

/// Evaluates the pods of a cluster and the other objects that rules read, and returns what was left out.
///
/// Every failure becomes an error of the report, a failed connection too.
pub(super) async fn read(
    options: &ConnectOptions,
    selector: Option<String>,
    scope: &Scope,
    analysis: &mut Analysis<'_>,
    progress: &ProgressSpinner,
) -> anyhow::Result<LeftOut> {
    let cluster = match cluster::connect(options).await {
        Ok(cluster) => cluster,
        Err(error) => {
            analysis.fail(unread("connect to the cluster".to_owned(), error.to_string()));
            return Ok(LeftOut::default());
        }
    };
    Ok(read_cluster(&cluster, selector, scope, analysis, progress).await)
}

/// Evaluates the pods of a connected cluster, and returns what was left out.
///
/// Every failure becomes an error of the report.
pub(in crate::commands) async fn read_cluster(
    cluster: &Cluster,
    selector: Option<String>,
    scope: &Scope,
    analysis: &mut Analysis<'_>,
    progress: &ProgressSpinner,
) -> LeftOut {
    // The API server applies the label selector, so that it sends nothing else.
    let request = ListRequest { namespaces: scope.namespaces.clone(), selector };
    let empty = analysis.part();
    let leaves_out = |namespace: &str| scope.leaves_out(namespace);
    let add = |part: &mut Analysis<'_>, page: &str| add_page(part, page, scope, progress);
    let listing = cluster::list_pods(cluster, &request, leaves_out, || empty.part(), add).await;
    for part in listing.parts {
        analysis.merge(part);
    }
    if request.selector.is_none() && listing.unread.is_empty() && listing.skipped.is_empty() {
        if scope.namespaces.is_empty() {
            analysis.close(Kinds::of(&[Kind::Pod]));
        }
        scope.namespaces.iter().for_each(|namespace| analysis.close_within(Kind::Pod, namespace));
    }
    for cluster::ListFailure { what, message } in listing.unread {
        analysis.fail(unread(what, message));
    }
    let found = related::read(cluster, &scope.namespaces, std::slice::from_mut(analysis)).await;
    found.errors.into_iter().for_each(|error| analysis.fail(error));
    let notes = [found.notes, annotations::exempt(cluster, scope, analysis).await].concat();
    LeftOut { namespaces: listing.skipped, notes }
}

fn add_page(
    part: &mut Analysis<'_>,
    page: &str,
    scope: &Scope,
    progress: &ProgressSpinner,
) -> Result<(), serde_json::Error> {
    part.policy().fields().within(|| {
        let Ok(list) = serde_json::from_str::<Object<'_>>(page) else {
            return add_one_by_one(part, page, scope, progress);
        };
        if let Parsed::List(pods) = &list.parsed {
            progress.add(pods.len() as u64);
        }
        part.add(&list, None);
        Ok(())
    })
}

/// Evaluates the pods of a page in which one pod does not parse, and names that one.
fn add_one_by_one(
    part: &mut Analysis<'_>,
    page: &str,
    scope: &Scope,
    progress: &ProgressSpinner,
) -> Result<(), serde_json::Error> {
    #[derive(Deserialize)]
    struct Page {
        items: Vec<RawObject>,
    }
    let Page { items } = serde_json::from_str(page)?;
    progress.add(items.len() as u64);
    for pod in items.iter().filter(|pod| !scope.leaves_out(pod.namespace())) {
        match Workload::from_json(WorkloadKind::Pod, pod.json()) {
            Ok(workload) => part.add_workload(&workload, None),
            Err(error) => {
                let (name, message) = files::explain_pod(pod.json(), error);
                part.fail(unread(format!("pod {name}"), message));
            }
        }
    }
    Ok(())
}

fn unread(source: String, message: String) -> ReportError {
    ReportError { source, document: None, line: None, message }
}
