//! Checks that the conflict policy is installed: the admission policy that removes our fields from conflicting writes
//! of others. It is defined in [`manifests`](crate::manifests), and `kube-devops policy compile` installs it.

use std::convert::Infallible;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::cluster::{CallError, Cluster};
use crate::enforcement::records::{self, is_under_way};
use crate::leader::Leadership;
use crate::manifests::{
    CONFLICT_POLICY, MUTATING_POLICIES, MUTATING_POLICY_BINDINGS, conflict_policy, conflict_policy_binding,
    sets_all_of,
};
use crate::policies::Policies;
use crate::policy::{CompiledPolicy, DevOpsPolicy};

/// Pause before a failed check is repeated.
const RETRY: SignedDuration = SignedDuration::from_secs(5);
/// Interval of the checks if the conflict policy is needed.
const LOOK: SignedDuration = SignedDuration::from_secs(60);
/// The command that installs the conflict policy.
const INSTALL: &str = "run `kube-devops policy compile --apply`";

/// The state of the conflict policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictPolicyState {
    /// The policy is installed. The API server removes our fields where they would make a write invalid.
    Installed,
    /// No workload carries a patch, so nothing was checked.
    NotNeeded,
    /// The policy is not in effect, for this reason.
    Unavailable(String),
}

/// The last check of the conflict policy.
pub struct ConflictPolicy {
    cluster: Cluster,
    policies: Arc<Policies>,
    interval: SignedDuration,
    clock: fn() -> Timestamp,
    known: Mutex<Option<Known>>,
}

/// The last state, and the time until which it counts.
#[derive(Debug)]
struct Known {
    /// True if a DevOpsPolicy needed it.
    wanted: bool,
    state: ConflictPolicyState,
    until: Timestamp,
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

    /// Returns the last state; `None` before the first check.
    pub(super) async fn state(&self) -> Option<ConflictPolicyState> {
        self.known.lock().await.as_ref().map(|known| known.state.clone())
    }

    /// Checks that the policy is installed, while some DevOpsPolicy enforces or has patches left. Returns the time of
    /// the next check.
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
        let outcome = if wanted { look(&self.cluster).await } else { Ok(ConflictPolicyState::NotNeeded) };
        let later = |pause| (self.clock)().saturating_add(pause).unwrap_or(Timestamp::MAX);
        let again = if wanted { later(self.interval) } else { Timestamp::MAX };
        let (state, until) = match outcome {
            Ok(state) => (state, again),
            Err(error) => {
                warn!(%error, "failed to check the conflict policy; will retry");
                (ConflictPolicyState::Unavailable(error.to_string()), later(RETRY))
            }
        };
        if known.as_ref().is_none_or(|known| known.state != state) {
            if let ConflictPolicyState::Unavailable(reason) = &state {
                warn!(reason, "the conflict policy is not in effect");
            } else {
                info!(?state, "conflict policy changed");
            }
        }
        *known = Some(Known { wanted, state, until });
        until
    }

    /// Checks the policy while this replica leads. Never returns.
    pub async fn keep(&self, mut leadership: Leadership) -> Infallible {
        self.policies.wait_until_listed().await;
        loop {
            leadership.acquired().await;
            let again = self.ensure().await;
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

async fn look(cluster: &Cluster) -> Result<ConflictPolicyState, CallError> {
    const VERSION: &str = "admissionregistration.k8s.io/v1";
    if !cluster
        .serves(VERSION, &[MUTATING_POLICIES, MUTATING_POLICY_BINDINGS])
        .await?
        .into_iter()
        .all(|serves| serves)
    {
        return Ok(ConflictPolicyState::Unavailable(format!(
            "this API server has no {MUTATING_POLICIES} in {VERSION}, which Kubernetes has since 1.36"
        )));
    }
    for wanted in [conflict_policy(), conflict_policy_binding()] {
        let problem = match cluster.get_object(&wanted).await {
            Ok(None) => "is not installed",
            Ok(Some(installed)) if !sets_all_of(&installed.data["spec"], &wanted["spec"]) => {
                "differs from that of this version"
            }
            Ok(Some(_)) => continue,
            // Without the permission to read it, the policy is assumed to be there.
            Err(error) if error.code() == Some(403) => continue,
            Err(error) => return Err(error),
        };
        let kind = wanted["kind"].as_str().unwrap_or_default();
        return Ok(ConflictPolicyState::Unavailable(format!(
            "the {kind} {CONFLICT_POLICY} {problem}: {INSTALL}"
        )));
    }
    Ok(ConflictPolicyState::Installed)
}
