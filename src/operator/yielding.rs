//! Installs and removes the admission policy by which enforcement yields. Doesn't know what the policy says.

use std::convert::Infallible;

use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::runtime::reflector::Store;
use serde_json::Value;
use tokio::time::sleep;
use tracing::{info, warn};

use super::Operator;
use super::planning::enforces;
use crate::cluster::{CallError, Cluster, FIELD_MANAGER};
use crate::enforcement::records::{self, is_under_way};
use crate::enforcement::{ApplyError, is_any_patched};
use crate::manifests::{YIELD_BINDINGS, YIELD_NAME, YIELD_POLICIES, yield_binding, yield_policy};
use crate::policy::DevOpsPolicy;

/// How long to wait before what could not be done is tried again.
const RETRY: SignedDuration = SignedDuration::from_secs(5);
/// How often is looked whether it is needed, beside each time that a policy is.
const LOOK: SignedDuration = SignedDuration::from_secs(60);

/// Whether enforcement's fields give way to other writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Yielding {
    /// The API server takes them out where they would make a write invalid, from some seconds after this on.
    On,
    /// It is not installed: there is nothing to take out.
    Off,
    /// It doesn't, for the reason that is given in words.
    Unavailable(String),
}

/// What was made of it, and for how long that counts.
#[derive(Debug)]
pub(super) struct Known {
    /// Whether a policy needed it then.
    wanted: bool,
    pub(super) yielding: Yielding,
    until: Timestamp,
}

/// What makes one of the two objects.
type Make = fn() -> Value;
/// The two objects with their resources, what is to be removed first at the beginning.
const BOTH: [(&str, Make); 2] = [(YIELD_BINDINGS, yield_binding), (YIELD_POLICIES, yield_policy)];

/// Installs the policy and its binding, and takes over what somebody else set otherwise in them.
pub async fn install(cluster: &Cluster) -> Result<Yielding, CallError> {
    for (plural, object) in BOTH.into_iter().rev() {
        let object = object();
        let api = api(cluster, plural, &object);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let apply = async |_| api.patch(YIELD_NAME, &params, &Patch::Apply(&object)).await;
        match cluster.call(apply).await {
            Ok(_) => {}
            Err(error) => return unavailable(plural, error).map(Yielding::Unavailable),
        }
    }
    Ok(Yielding::On)
}

/// Removes both, the binding first; what isn't there, or isn't known to the API server, is removed already.
pub async fn remove(cluster: &Cluster) -> Result<(), CallError> {
    for (plural, object) in BOTH {
        let api = api(cluster, plural, &object());
        match cluster.call(async |_| api.delete(YIELD_NAME, &DeleteParams::default()).await).await {
            Err(error) if error.code() != Some(404) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Tells whether either is there. An account that may not look never installed it.
async fn is_installed(cluster: &Cluster) -> Result<bool, CallError> {
    for (plural, object) in BOTH {
        let api = api(cluster, plural, &object());
        match cluster.call(async |_| api.get_opt(YIELD_NAME).await).await {
            Ok(Some(_)) => return Ok(true),
            Ok(None) => {}
            Err(error) if error.code() == Some(403) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Removes both unless they are of use still: policies go, and what they patched may stay.
async fn remove_unless_used(cluster: &Cluster) -> Result<Yielding, ApplyError> {
    if !is_installed(cluster).await? {
        return Ok(Yielding::Off);
    }
    if is_any_patched(cluster).await? {
        return Ok(Yielding::On);
    }
    match remove(cluster).await {
        Ok(()) => Ok(Yielding::Off),
        // An account that only audits leaves it to whoever may remove it.
        Err(error) if error.code() == Some(403) => Ok(Yielding::On),
        Err(error) => Err(error.into()),
    }
}

impl Operator {
    /// Sees to it that our fields yield while some policy enforces or any are left, and no longer; asks the API server
    /// when that may have changed, and now and then while they should: somebody may have removed what was installed.
    /// Returns when to look again.
    pub(super) async fn yield_where_patched(&self) -> Timestamp {
        let wanted = self.policies().iter().any(|policy| enforces(self, policy) || has_patches(policy));
        let mut known = self.yielding.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.wanted == wanted && self.now() < known.until)
        {
            return known.until;
        }
        let outcome = if wanted {
            install(&self.cluster).await.map_err(ApplyError::from)
        } else {
            remove_unless_used(&self.cluster).await
        };
        let later = |pause| self.now().saturating_add(pause).unwrap_or(Timestamp::MAX);
        let again = if wanted { later(self.settings.yield_interval) } else { Timestamp::MAX };
        let (yielding, until) = match outcome {
            Ok(yielding) => (yielding, again),
            Err(error) => {
                warn!(%error, "whether our fields yield to others' writes is tried to be set again");
                (Yielding::Unavailable(error.to_string()), later(RETRY))
            }
        };
        if known.as_ref().is_none_or(|known| known.yielding != yielding) {
            info!(?yielding, "whether our fields yield to others' writes");
        }
        *known = Some(Known { wanted, yielding, until });
        until
    }

    /// Sees to it while this replica leads, whether or not there are policies: a former leader may have left behind
    /// what nothing needs any more. Never ends.
    pub(super) async fn keep_yielding(&self, policies: Store<DevOpsPolicy>) -> Infallible {
        // It fails only where the operator ends.
        let _ = policies.wait_until_ready().await;
        let mut leadership = self.leadership.clone();
        loop {
            leadership.acquired().await;
            // Whoever doesn't lead any more has nothing to see to until it does.
            let again = leadership.write(self.yield_where_patched()).await.unwrap_or_else(|_| self.now());
            let pause = again.duration_since(self.now()).clamp(RETRY, LOOK);
            sleep(pause.unsigned_abs()).await;
        }
    }
}

fn has_patches(policy: &DevOpsPolicy) -> bool {
    let mut records = policy.status.iter().flat_map(|status| &status.remediations);
    policy.metadata.deletion_timestamp.is_none()
        && records.any(|record| records::has_patches(record) || is_under_way(record))
}

/// Says why there is no policy where that is how this cluster is; anything else is an error worth another try.
fn unavailable(plural: &str, error: CallError) -> Result<String, CallError> {
    match error.code() {
        Some(404) => Ok(format!(
            "this API server has no {plural} in admissionregistration.k8s.io/v1, which Kubernetes has since 1.36"
        )),
        Some(403) => Ok(error.to_string()),
        _ => Err(error),
    }
}

fn api(cluster: &Cluster, plural: &str, object: &Value) -> Api<DynamicObject> {
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = api_version.split_once('/').unwrap_or_default();
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        api_version: api_version.clone(),
        kind,
    };
    Api::all_with(cluster.client.clone(), &resource)
}
