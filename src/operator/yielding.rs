//! Installs and removes the admission policy by which enforcement yields. Doesn't know what the policy says.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::runtime::reflector::Store;
use serde_json::Value;
use tokio::time::sleep;
use tracing::{info, warn};

use super::Operator;
use super::planning::enforces;
use crate::cluster::{CallError, Cluster, FIELD_MANAGER};
use crate::enforcement::records::{is_in_place, is_under_way};
use crate::manifests::{YIELD_BINDINGS, YIELD_NAME, YIELD_POLICIES, yield_binding, yield_policy};
use crate::policy::DevOpsPolicy;

/// How long to wait before what could not be done is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Whether enforcement's fields give way to other writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Yielding {
    /// The API server takes them out where they would make a write invalid, from some seconds after this on.
    On,
    /// It has nothing to take out: no policy's patches are in place.
    Off,
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

/// Removes both, the binding first, where they are there.
pub async fn remove(cluster: &Cluster) -> Result<(), CallError> {
    for (plural, object) in [(YIELD_BINDINGS, yield_binding()), (YIELD_POLICIES, yield_policy())] {
        let resource = resource(plural, &object);
        let api = |client: kube::Client| Api::<DynamicObject>::all_with(client, &resource);
        match cluster.call(async |client| api(client).get_opt(YIELD_NAME).await).await {
            Ok(Some(_)) => {}
            Ok(None) => continue,
            // An account that may not look at it never installed it.
            Err(error) if error.code() == Some(403) => continue,
            Err(error) => return Err(error),
        }
        let delete = async |client| api(client).delete(YIELD_NAME, &DeleteParams::default()).await;
        match cluster.call(delete).await {
            Err(error) if error.code() != Some(404) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

impl Operator {
    /// Sees to it that our fields yield while some policy enforces or has patches in place, and no longer; asks the API
    /// server only when that changes, or when it did not answer. Tells whether it is so now.
    pub(super) async fn yield_where_patched(&self) -> bool {
        let wanted = self.policies().iter().any(|policy| enforces(self, policy) || has_patches(policy));
        let mut known = self.yielding.lock().await;
        if known.as_ref().is_some_and(|known| wanted == (*known != Yielding::Off)) {
            return true;
        }
        let outcome = if wanted {
            install(&self.cluster).await
        } else {
            remove(&self.cluster).await.map(|()| Yielding::Off)
        };
        match outcome {
            Ok(yielding) => {
                info!(?yielding, "yielding to others' writes");
                *known = Some(yielding);
                true
            }
            Err(error) => {
                warn!(%error, "whether our fields yield to others' writes is tried to be set again");
                false
            }
        }
    }

    /// Sees to it once this replica leads, whether or not there are policies: a former leader may have left behind what
    /// nothing needs any more. Never ends.
    pub(super) async fn yield_from_the_start(&self, policies: Store<DevOpsPolicy>) -> Infallible {
        // It fails only where the operator ends.
        let _ = policies.wait_until_ready().await;
        let mut leadership = self.leadership.clone();
        loop {
            leadership.acquired().await;
            if matches!(leadership.write(self.yield_where_patched()).await, Ok(true)) {
                return pending().await;
            }
            sleep(RETRY).await;
        }
    }
}

fn has_patches(policy: &DevOpsPolicy) -> bool {
    let mut records = policy.status.iter().flat_map(|status| &status.remediations);
    policy.metadata.deletion_timestamp.is_none()
        && records.any(|record| is_in_place(record) || is_under_way(record))
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
