//! Reads the figures of all policies of a cluster in one small request.

use kube::Resource as _;
use serde_json::Value;

use crate::cluster::{CallError, Cluster, ObjectList, Table, TableRow, table};
use crate::policy::{DevOpsPolicy, PolicySummary};

/// Reads the figures of all policies, from the columns of the CRD. A cluster without the CRD has no policies.
pub async fn summaries(cluster: &Cluster) -> Result<Vec<PolicySummary>, CallError> {
    let (group, version) = (DevOpsPolicy::group(&()), DevOpsPolicy::version(&()));
    let plural = DevOpsPolicy::plural(&());
    let list = ObjectList { group: &group, version: &version, plural: &plural, namespace: None };
    match table(cluster, list).await {
        Ok(table) => Ok(table.rows.iter().map(|row| summary(&table, row)).collect()),
        Err(error) if error.code() == Some(404) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn summary(table: &Table, row: &TableRow) -> PolicySummary {
    let number = |column| table.cell(row, column).and_then(Value::as_u64);
    PolicySummary {
        namespace: row.namespace().to_owned(),
        name: row.name().to_owned(),
        mode: table.cell(row, "Mode").and_then(Value::as_str).map(str::to_owned),
        score: number("Score").and_then(|score| u8::try_from(score).ok()),
        violations: number("Violations"),
        pods: number("Pods"),
    }
}
