//! Waits for the permission to list the objects of a watch that a program can do without.

use std::time::Duration;

use kube::api::{Api, DynamicObject, ListParams};
use tokio::time::sleep;

use super::{CallError, Cluster, WatchRequest, WatchSelector};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_mins(1);

/// Returns as soon as the API server does not refuse to list the objects of a watch. `refused` gets each refusal.
///
/// A watch without permission would be retried within seconds, and its failures would be logged.
pub async fn wait_until_permitted(
    cluster: &Cluster,
    request: &WatchRequest,
    mut refused: impl FnMut(&CallError),
) {
    let (labels, fields) = request.selector.as_ref().map_or((None, None), WatchSelector::selectors);
    let one = ListParams { label_selector: labels, field_selector: fields, ..ListParams::default().limit(1) };
    let list = async |client| {
        let objects: Api<DynamicObject> = match &request.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &request.resource),
            None => Api::all_with(client, &request.resource),
        };
        objects.list_metadata(&one).await
    };
    loop {
        match cluster.call(list).await {
            Err(error) if error.code() == Some(403) => refused(&error),
            _ => return,
        }
        sleep(PAUSE).await;
    }
}
