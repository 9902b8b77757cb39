//! The states of the CRDs on a cluster.

use kube::ResourceExt as _;

use crate::cluster::{CallError, Cluster};
use crate::manifests::{CrdState, GROUP, Mode, OPEN_REPORTS, REPORT_CRD, RESOURCES, crds, is_current};

/// Compares the installed CRDs with ours. Without the permission to read them, it asks which resources are served. Mode
/// `reports` also needs a CRD of OpenReports.
pub(super) async fn crd_states(
    cluster: &Cluster,
    modes: &[Mode],
) -> Result<Vec<(String, CrdState)>, CallError> {
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
    if modes.contains(&Mode::Reports) {
        let is_there = match cluster.crd(REPORT_CRD).await {
            Ok(found) => found.is_some(),
            Err(error) if error.code() == Some(403) => {
                cluster.serves(&format!("{OPEN_REPORTS}/v1alpha1"), &["reports"]).await? == [true]
            }
            Err(error) => return Err(error),
        };
        let state = if is_there { CrdState::Current } else { CrdState::Foreign };
        states.push((REPORT_CRD.to_owned(), state));
    }
    Ok(states)
}
