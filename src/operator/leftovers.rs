//! Deletes what a cluster policy left in namespaces that it no longer selects: audit results and reports.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::ResourceExt as _;
use kube::api::Api;

use super::audit::Past;
use super::cluster_objects::evaluated_places;
use super::reconcile::delete_result;
use super::report_keeper::delete_report;
use super::{Operator, ReconcileError};
use crate::policies::ClusterPolicy;
use crate::policy::PolicyAuditResult;

/// The number of deletions at a time.
const CONCURRENT: usize = 8;

/// Deletes the audit results and reports of a policy outside of its namespaces. A policy that is invalid has no reports.
///
/// It deletes nothing before the Namespaces are listed, because nobody knows then which of them the policy selects.
pub(super) async fn delete_leftovers(
    operator: &Operator,
    policy: &ClusterPolicy,
) -> Result<(), ReconcileError> {
    if !operator.knows_namespaces() {
        return Ok(());
    }
    let uid = policy.policy.uid().unwrap_or_default();
    let results = operator.audits().elsewhere(&uid, &policy.namespaces);
    let deletions = stream::iter(results).map(|past| delete(operator, &uid, past));
    deletions.buffer_unordered(CONCURRENT).try_collect::<()>().await?;
    for namespace in reports_elsewhere(operator, policy, &uid) {
        delete_report(operator, &policy.policy, &namespace).await?;
    }
    Ok(())
}

async fn delete(operator: &Operator, uid: &str, past: Past) -> Result<(), ReconcileError> {
    let api = Api::<PolicyAuditResult>::namespaced(operator.cluster.client.clone(), &past.namespace);
    delete_result(operator, &api, &past).await?;
    operator.audits().remove(uid, &past);
    Ok(())
}

fn reports_elsewhere(operator: &Operator, policy: &ClusterPolicy, uid: &str) -> Vec<String> {
    let is_valid = policy.compiled.effective.is_ok();
    let reported = if is_valid { evaluated_places(policy) } else { BTreeSet::new() };
    operator.reports().map_or(Vec::new(), |known| known.elsewhere(uid, &reported))
}
