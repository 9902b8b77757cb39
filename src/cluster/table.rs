//! Reads a resource as the table that `kubectl get` prints.

use http::Request;
use http::header::ACCEPT;
use serde::Deserialize;
use serde_json::Value;

use super::{CallError, Cluster, ObjectList};

/// The media type of a table. The API server computes it from the columns of the CRD.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// The objects of a resource, one row each.
///
/// See <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    #[serde(default)]
    column_definitions: Vec<Column>,
    /// The rows.
    #[serde(default)]
    pub rows: Vec<TableRow>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Column {
    name: String,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TableRow {
    cells: Vec<Value>,
    object: TableObject,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct TableObject {
    metadata: TableMetadata,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct TableMetadata {
    name: String,
    #[serde(default)]
    namespace: String,
}

impl TableRow {
    /// Returns the name of the object.
    pub fn name(&self) -> &str {
        &self.object.metadata.name
    }

    /// Returns the namespace of the object; empty for an object of the cluster.
    pub fn namespace(&self) -> &str {
        &self.object.metadata.namespace
    }
}

impl Table {
    /// Returns the cell of a row in the column `name`; `None` if it is empty or there is no such column.
    pub fn cell<'t>(&self, row: &'t TableRow, name: &str) -> Option<&'t Value> {
        let column = self.column_definitions.iter().position(|column| column.name == name)?;
        row.cells.get(column).filter(|cell| !cell.is_null())
    }
}

/// Reads all objects of a resource as a table, in one request.
pub async fn table(cluster: &Cluster, list: ObjectList<'_>) -> Result<Table, CallError> {
    let path = list.path();
    let get = async |client: kube::Client| {
        let request = Request::get(&path).header(ACCEPT, TABLE).body(Vec::new());
        client.request(request.map_err(kube::Error::HttpError)?).await
    };
    cluster.call(get).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_found_by_the_name_of_its_column() {
        let table: Table = serde_json::from_value(json!({
            "kind": "Table",
            "columnDefinitions": [{ "name": "Name", "type": "string" }, { "name": "Score", "type": "integer" }],
            "rows": [{ "cells": ["p", 71], "object": { "metadata": { "name": "p", "namespace": "shop" } } }],
        }))
        .unwrap();
        let row = &table.rows[0];
        assert_eq!((row.namespace(), row.name()), ("shop", "p"));
        assert_eq!(table.cell(row, "Score"), Some(&json!(71)));
        assert_eq!(table.cell(row, "Age"), None);
    }
}
