//! The reading of one cluster, and its row in the report of many.

use jiff::Timestamp;

use crate::cluster::Cluster;
use crate::commands::analyze::live::read_cluster;
use crate::commands::progress_spinner::ProgressSpinner;
use crate::fleet::{MemberResult, Surveyed};
use crate::governance::{Analysis, ClusterReport, ClusterResult, Report, Scope};
use crate::policies::documents;
use crate::policy::{EffectivePolicy, PolicyDocument};
use crate::terminal;

/// The request that every cluster gets.
pub(super) struct Request<'a> {
    pub(super) policy: &'a EffectivePolicy,
    pub(super) scope: &'a Scope,
    pub(super) selector: Option<String>,
    pub(super) now: Timestamp,
    /// True if the reports keep their violations.
    pub(super) keep: bool,
}

/// The report of one cluster, its policies unless they could not be read, and notes.
type Found = (Report, Result<Vec<PolicyDocument>, String>, Vec<String>);

/// Reads the pods and the policies of a cluster. A report of nothing but errors is a failure.
pub(super) async fn read(
    cluster: &Cluster,
    request: &Request<'_>,
    progress: &ProgressSpinner,
) -> Result<Found, String> {
    let Request { policy, scope, selector, now, keep } = request;
    let mut analysis = Analysis::new(policy, scope, *now, *keep);
    let notes = read_cluster(cluster, selector.clone(), scope, &mut analysis, progress).await.notes;
    let report = analysis.finish();
    if let Some(error) = report.errors.first().filter(|_| report.has_only_errors()) {
        return Err(error.to_string());
    }
    let policies = match documents(cluster, None).await {
        // Without the CRD there are no policies.
        Err(error) if error.code() == Some(404) => Ok(Vec::new()),
        found => found.map_err(|error| error.to_string()),
    };
    Ok((report, policies, notes))
}

/// The policies of each cluster, by the name of its context.
type Policies = Vec<(String, Vec<PolicyDocument>)>;

/// Makes a row of each context, and notes the clusters whose policies could not be read.
pub(super) fn rows(surveyed: Vec<Surveyed<Found>>) -> std::io::Result<(Vec<ClusterReport>, Policies)> {
    let (mut clusters, mut policies) = (Vec::new(), Vec::new());
    for Surveyed { name: context, result } in surveyed {
        clusters.push(match result {
            MemberResult::Done(reached, (report, found, notes)) => {
                notes.iter().try_for_each(|note| terminal::note(format_args!("{context}: {note}")))?;
                match found {
                    Ok(found) => policies.push((context.clone(), found)),
                    Err(reason) => terminal::note(format_args!(
                        "{context}: its policies are not compared with others: {reason}"
                    ))?,
                }
                ClusterReport::of_report(context, reached.server, reached.version, report)
            }
            MemberResult::SameAs(other) => {
                let reason = format!("counted as {other}");
                ClusterReport::without_figures(context, ClusterResult::SameCluster, reason)
            }
            MemberResult::Failed(reason) => {
                ClusterReport::without_figures(context, ClusterResult::Failed, reason)
            }
        });
    }
    Ok((clusters, policies))
}
