//! Reads the notes of withdrawals for commands, which do not know the operator's namespace.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams};

use crate::cluster::{CallError, Cluster};
use crate::enforcement::{Ledger, Note};
use crate::manifests::{LEDGER_KEY, LEDGER_NAME};

/// Returns the notes of all ledgers of the cluster. An unreadable ledger has none.
pub(super) async fn ledger_notes(cluster: &Cluster) -> Result<Vec<Note>, CallError> {
    let params = ListParams::default().fields(&format!("metadata.name={LEDGER_NAME}"));
    let list = async |client| Api::<ConfigMap>::all(client).list(&params).await;
    let listed = cluster.call(list).await?;
    let data = listed.items.into_iter().filter_map(|held| held.data?.remove(LEDGER_KEY));
    let ledgers = data.filter_map(|text| serde_json::from_str::<Ledger>(&text).ok());
    Ok(ledgers.flat_map(|ledger| ledger.notes().to_vec()).collect())
}
