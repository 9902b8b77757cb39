//! The states of the CRDs on a cluster.

use kube::ResourceExt as _;

use crate::cluster::{CallError, Cluster};
use crate::manifests::{CrdState, GROUP, RESOURCES, crds, is_current};

/// Compares the installed CRDs with ours. Without the permission to read them, it asks which resources are served.
pub(super) async fn crd_states(cluster: &Cluster) -> Result<Vec<(String, CrdState)>, CallError> {
    let mut states = Vec::new();
    for (wanted, resource) in crds().iter().zip(RESOURCES) {
        let name = wanted.name_any();
        let state = match cluster.crd(&name).await {
            Ok(None) => CrdState::Missing,
            Ok(Some(installed)) if is_current(&installed.data["spec"], wanted) => CrdState::Current,
            Ok(Some(_)) => CrdState::Outdated,
            Err(error) if error.code() == Some(403) => {
                let served = cluster.serves(&format!("{GROUP}/v1"), &[resource]).await?;
                if served == [true] { CrdState::Served } else { CrdState::Missing }
            }
            Err(error) => return Err(error),
        };
        states.push((name, state));
    }
    Ok(states)
}
