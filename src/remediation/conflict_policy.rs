//! Installs and removes the conflict policy: the admission policy by which the fields of enforcement give way to other
//! writes. What it says is in [`manifests`](crate::manifests).

use std::convert::Infallible;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::sleep;
use tracing::{info, warn};

use super::apply_error::ApplyError;
use super::find::is_any_patched;
use crate::cluster::{CallError, Cluster};
use crate::enforcement::records::{self, is_under_way};
use crate::leader::Leadership;
use crate::manifests::{
    OBJECT_MANAGER, YIELD_BINDINGS, YIELD_NAME, YIELD_POLICIES, yield_binding, yield_policy,
};
use crate::policies::Policies;
use crate::policy::{CompiledPolicy, DevOpsPolicy};

/// Pause before a failed action is retried.
const RETRY: SignedDuration = SignedDuration::from_secs(5);
/// Interval of the checks if the conflict policy is still needed.
const LOOK: SignedDuration = SignedDuration::from_secs(60);

/// The state of the conflict policy, by which the fields of enforcement give way to other writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictPolicyState {
    /// The policy is installed. Some seconds later, the API server removes our fields where they would make a write
    /// invalid.
    Installed,
    /// The policy is not installed, because no workload carries a patch.
    NotNeeded,
    /// The policy can't be installed, for this reason.
    Unavailable(String),
}

/// The admission policy by which enforcement gives way, installed while it is needed.
pub struct ConflictPolicy {
    cluster: Cluster,
    policies: Arc<Policies>,
    interval: SignedDuration,
    clock: fn() -> Timestamp,
    known: Mutex<Option<Known>>,
}

/// The last outcome, and how long it counts.
#[derive(Debug)]
struct Known {
    /// True if a policy needed it.
    wanted: bool,
    state: ConflictPolicyState,
    until: Timestamp,
}

/// The constructor of one of the two objects.
type Make = fn() -> Value;
/// The two objects with their resources, what is to be removed first at the beginning.
const BOTH: [(&str, Make); 2] = [(YIELD_BINDINGS, yield_binding), (YIELD_POLICIES, yield_policy)];

/// Installs the policy and its binding, and takes over what somebody else set otherwise in them.
pub async fn install(cluster: &Cluster) -> Result<ConflictPolicyState, CallError> {
    for (plural, object) in BOTH.into_iter().rev() {
        let object = object();
        let api = api(cluster, plural, &object);
        let params = PatchParams::apply(OBJECT_MANAGER).force();
        let apply = async |_| api.patch(YIELD_NAME, &params, &Patch::Apply(&object)).await;
        match cluster.call(apply).await {
            Ok(_) => {}
            Err(error) => return unavailable(plural, error).map(ConflictPolicyState::Unavailable),
        }
    }
    Ok(ConflictPolicyState::Installed)
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

/// Returns true if either is there. An account that may not look never installed it.
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
async fn remove_unless_used(cluster: &Cluster) -> Result<ConflictPolicyState, ApplyError> {
    if !is_installed(cluster).await? {
        return Ok(ConflictPolicyState::NotNeeded);
    }
    if is_any_patched(cluster).await? {
        return Ok(ConflictPolicyState::Installed);
    }
    match remove(cluster).await {
        Ok(()) => Ok(ConflictPolicyState::NotNeeded),
        // An account that only audits leaves it to whoever may remove it.
        Err(error) if error.code() == Some(403) => Ok(ConflictPolicyState::Installed),
        Err(error) => Err(error.into()),
    }
}

impl ConflictPolicy {
    pub(super) fn new(
        cluster: Cluster,
        policies: Arc<Policies>,
        interval: SignedDuration,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self { cluster, policies, interval, clock, known: Mutex::default() }
    }

    /// Returns the last outcome; `None` before the first attempt.
    pub(super) async fn state(&self) -> Option<ConflictPolicyState> {
        self.known.lock().await.as_ref().map(|known| known.state.clone())
    }

    /// Installs the policy while some DevOpsPolicy enforces or has patches left, and removes it otherwise. Returns when
    /// to check again.
    ///
    /// It asks the API server when that may have changed. While the policy is needed it also asks once an interval,
    /// because somebody may have removed it.
    pub(super) async fn ensure(&self) -> Timestamp {
        let wanted = self
            .policies
            .all()
            .iter()
            .any(|CompiledPolicy { policy, .. }| self.policies.enforces(policy) || has_patches(policy));
        let mut known = self.known.lock().await;
        let now = (self.clock)();
        if let Some(known) = known.as_ref().filter(|known| known.wanted == wanted && now < known.until) {
            return known.until;
        }
        let outcome = if wanted {
            install(&self.cluster).await.map_err(ApplyError::from)
        } else {
            remove_unless_used(&self.cluster).await
        };
        let later = |pause| (self.clock)().saturating_add(pause).unwrap_or(Timestamp::MAX);
        let again = if wanted { later(self.interval) } else { Timestamp::MAX };
        let (state, until) = match outcome {
            Ok(state) => (state, again),
            Err(error) => {
                warn!(%error, "failed to update the conflict policy; will retry");
                (ConflictPolicyState::Unavailable(error.to_string()), later(RETRY))
            }
        };
        if known.as_ref().is_none_or(|known| known.state != state) {
            info!(?state, "conflict policy changed");
        }
        *known = Some(Known { wanted, state, until });
        until
    }

    /// Keeps the policy installed or removed while this replica leads, even if there are no policies: a former leader may
    /// have left behind what is not needed any more. Never ends.
    pub async fn keep(&self, mut leadership: Leadership) -> Infallible {
        self.policies.wait_until_listed().await;
        loop {
            leadership.acquired().await;
            // A replica that has lost the lease waits until it leads again.
            let again = leadership.write(self.ensure()).await.unwrap_or_else(|_| (self.clock)());
            let pause = again.duration_since((self.clock)()).clamp(RETRY, LOOK);
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
