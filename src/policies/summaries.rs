//! Reads the figures of all policies of a cluster in two small requests, one for each kind.

use futures::join;
use kube::Resource;
use serde_json::Value;

use crate::cluster::{CallError, Cluster, ObjectList, Table, TableRow, table};
use crate::policy::{ClusterDevOpsPolicy, DevOpsPolicy, PolicySummary};
use crate::workload::PolicyRef;

/// The figures of the policies of a cluster.
#[derive(Debug, Default)]
pub struct PolicySummaries {
    /// The figures of each policy.
    pub policies: Vec<PolicySummary>,
    /// The kinds that are left out, each with the reason.
    pub notes: Vec<String>,
}

/// Reads the figures of all policies, from the columns of the CRDs.
///
/// A cluster without both kinds has no policies. A kind that is absent alone, or that the account may not list, is
/// left out with a note. If it may list neither, the call fails.
pub async fn summaries(cluster: &Cluster) -> Result<PolicySummaries, CallError> {
    let (own, whole) = join!(rows::<DevOpsPolicy>(cluster), rows::<ClusterDevOpsPolicy>(cluster));
    merge(own, whole)
}

/// Merges the answers for both kinds.
fn merge(
    own: Result<Vec<PolicySummary>, CallError>,
    whole: Result<Vec<PolicySummary>, CallError>,
) -> Result<PolicySummaries, CallError> {
    let mut found = PolicySummaries::default();
    let (own, whole) = match (own, whole) {
        (Err(own), Err(whole)) if (own.code(), whole.code()) == (Some(404), Some(404)) => return Ok(found),
        (Err(own), Err(whole)) => return Err(if own.code() == Some(404) { whole } else { own }),
        either => either,
    };
    for (kind, answer) in [("DevOpsPolicies", own), ("ClusterDevOpsPolicies", whole)] {
        match answer {
            Ok(policies) => found.policies.extend(policies),
            Err(error) if error.code() == Some(404) => {
                found.notes.push(format!(
                    "it has no {kind}, as their CRD is absent: kube-devops crd install adds it"
                ));
            }
            Err(error) if error.code() == Some(403) => {
                found.notes.push(format!("its {kind} are left out: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Reads the figures of the policies of one kind.
async fn rows<K: Resource<DynamicType = ()>>(cluster: &Cluster) -> Result<Vec<PolicySummary>, CallError> {
    let (group, version, plural) = (K::group(&()), K::version(&()), K::plural(&()));
    let list = ObjectList { group: &group, version: &version, plural: &plural, namespace: None };
    let table = table(cluster, list).await?;
    Ok(table.rows.iter().map(|row| summary(&table, row)).collect())
}

fn summary(table: &Table, row: &TableRow) -> PolicySummary {
    let number = |column| table.cell(row, column).and_then(Value::as_u64);
    let policy = match row.namespace() {
        "" => PolicyRef::cluster(row.name()),
        namespace => PolicyRef::new(namespace, row.name()),
    };
    PolicySummary {
        namespace: policy.namespace,
        name: policy.name,
        mode: table.cell(row, "Mode").and_then(Value::as_str).map(str::to_owned),
        score: number("Score").and_then(|score| u8::try_from(score).ok()),
        violations: number("Violations"),
        pods: number("Pods"),
        namespaces: number("Namespaces"),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refused(code: u16) -> Result<Vec<PolicySummary>, CallError> {
        let status = Status { code, message: format!("code {code}"), ..Status::default() };
        Err(CallError::Status(Box::new(status)))
    }

    #[test]
    fn a_kind_that_cannot_be_listed_alone_is_a_note() {
        let one = || Ok(vec![PolicySummary::default()]);
        for (own, whole, note) in [
            (one(), refused(404), "ClusterDevOpsPolicies, as their CRD is absent"),
            (one(), refused(403), "its ClusterDevOpsPolicies are left out"),
            (refused(403), one(), "its DevOpsPolicies are left out"),
        ] {
            let found = merge(own, whole).unwrap();
            assert_eq!(found.policies.len(), 1);
            assert!(found.notes.len() == 1 && found.notes[0].contains(note), "{found:?}");
        }
    }

    #[test]
    fn a_cluster_without_both_kinds_has_no_policies_and_other_failures_stay() {
        let found = merge(refused(404), refused(404)).unwrap();
        assert!(found.policies.is_empty() && found.notes.is_empty(), "{found:?}");
        for (own, whole, code) in [(403, 403, 403), (404, 403, 403), (500, 404, 500)] {
            assert_eq!(merge(refused(own), refused(whole)).unwrap_err().code(), Some(code));
        }
        assert_eq!(merge(Ok(Vec::new()), refused(500)).unwrap_err().code(), Some(500));
    }
}
