//! Installs and removes the admission policy by which enforcement yields. Doesn't know what the policy says.

use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::Value;
use tracing::{info, warn};

use super::Operator;
use super::planning::enforces;
use crate::cluster::{CallError, Cluster, FIELD_MANAGER};
use crate::manifests::{YIELD_BINDINGS, YIELD_NAME, YIELD_POLICIES, yield_binding, yield_policy};

/// Whether enforcement's fields give way to other writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Yielding {
    /// The API server takes them out where they would make a write invalid, from some seconds after this on.
    On,
    /// It doesn't, for the reason that is given in words.
    Unavailable(String),
}

/// Installs the policy and its binding, and takes over what somebody else set otherwise in them.
pub async fn install(cluster: &Cluster) -> Result<Yielding, CallError> {
    for (plural, object) in [(YIELD_POLICIES, yield_policy()), (YIELD_BINDINGS, yield_binding())] {
        let resource = resource(plural, &object);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let apply = async |client: kube::Client| {
            let api = Api::<DynamicObject>::all_with(client, &resource);
            api.patch(YIELD_NAME, &params, &Patch::Apply(&object)).await
        };
        match cluster.call(apply).await {
            Ok(_) => {}
            Err(error) => return unavailable(plural, error).map(Yielding::Unavailable),
        }
    }
    Ok(Yielding::On)
}

/// Removes both, the binding first; what isn't there, or isn't known to the API server, is removed already.
pub async fn remove(cluster: &Cluster) -> Result<(), CallError> {
    for (plural, object) in [(YIELD_BINDINGS, yield_binding()), (YIELD_POLICIES, yield_policy())] {
        let resource = resource(plural, &object);
        let delete = async |client: kube::Client| {
            let api = Api::<DynamicObject>::all_with(client, &resource);
            api.delete(YIELD_NAME, &DeleteParams::default()).await
        };
        match cluster.call(delete).await {
            Err(error) if error.code() != Some(404) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

impl Operator {
    /// Sees to it that our fields yield while some policy enforces, and no longer; asks the API server only when that
    /// changes, or when it did not answer.
    pub(super) async fn yield_where_enforced(&self) {
        let wanted = self.policies().iter().any(|policy| enforces(self, policy));
        let mut known = self.yielding.lock().await;
        if wanted == known.is_some() {
            return;
        }
        let outcome = if wanted {
            install(&self.cluster).await.map(Some)
        } else {
            remove(&self.cluster).await.map(|()| None)
        };
        match outcome {
            Ok(yielding) => {
                info!(?yielding, "yielding to others' writes");
                *known = yielding;
            }
            Err(error) => {
                warn!(%error, "whether our fields yield to others' writes is tried to be set again");
            }
        }
    }
}

/// Says why there is no policy where that is how this cluster is; anything else is an error worth another try.
fn unavailable(plural: &str, error: CallError) -> Result<String, CallError> {
    match error.code() {
        Some(404) => Ok(format!(
            "this API server has no {plural} in admissionregistration.k8s.io/v1, which Kubernetes has since 1.36: \
             where a field of kube-devops makes another's write invalid, that write is refused"
        )),
        Some(403) => Ok(format!(
            "{error}: until then, where a field of kube-devops makes another's write invalid, that write is refused"
        )),
        _ => Err(error),
    }
}

fn resource(plural: &str, object: &Value) -> ApiResource {
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = api_version.split_once('/').unwrap_or_default();
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        api_version: api_version.clone(),
        kind,
    }
}
