//! Decides if a rollout of a workload can leave no pod available, and in which order workloads are patched. Pure.
//!
//! If the new pods never become ready, the patch does no harm as long as old pods run until new ones are available.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::objects::{DaemonSet, Deployment, TemplatePodSpec};
use super::rollout_progress::RolloutProgress;
use super::subject::{Subject, Typed};
use crate::policy::{RemediationSpec, SkipReason};

/// The access modes of a namespace's `PersistentVolumeClaim`s, by the claim's name.
pub type Claims = BTreeMap<String, Vec<String>>;

/// The API server's default for a Deployment's `maxSurge` and `maxUnavailable`.
const DEFAULT_SHARE: &str = "25%";

/// A property of a workload because of which a rollout can stop pods before new ones are available.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DowntimeRisk {
    /// All pods stop before a new one starts.
    #[error(
        "its strategy is Recreate, so a rollout ends all pods before it starts new ones: use RollingUpdate"
    )]
    Recreate,
    /// A `StatefulSet` never has two pods with the same name.
    #[error("a StatefulSet ends each pod before it starts the new one")]
    StatefulSet,
    /// A pod stops before its replacement starts.
    #[error("its rollout ends a pod before it starts a new one: set maxSurge to 1 and maxUnavailable to 0")]
    NoSurge,
    /// All pods may be unavailable at the same time.
    #[error("its maxUnavailable lets a rollout end all old pods ({wanted} wanted): set it to 0")]
    NoneKept {
        /// The number of desired pods.
        wanted: i32,
    },
    /// Two pods cannot share a node's network.
    #[error("its pods use the node's network, so a new pod may not start beside the old one")]
    HostNetwork,
    /// Two pods cannot use the same port of a node.
    #[error(
        "container {container} takes port {port} of the node, so a new pod may not start beside the old one"
    )]
    HostPort {
        /// The container.
        container: String,
        /// The node's port.
        port: i32,
    },
    /// Pods on different nodes cannot use the same volume.
    #[error("its claim {0} is not known to be ReadWriteMany, so a new pod may not start beside the old one")]
    Claim(String),
}

impl DowntimeRisk {
    /// Returns the reason as conditions and rehearsals name it.
    pub fn reason(&self) -> SkipReason {
        match self {
            Self::Recreate => SkipReason::RecreatedWhole,
            Self::StatefulSet => SkipReason::StatefulSet,
            Self::NoSurge => SkipReason::NoSurge,
            Self::NoneKept { .. } => SkipReason::NoPodKept,
            Self::HostNetwork => SkipReason::HostNetwork,
            Self::HostPort { .. } => SkipReason::HostPort,
            Self::Claim(_) => SkipReason::ClaimOfOneNode,
        }
    }
}

/// Returns the reason why a rollout can leave no pod available; `None` if old pods run until new ones are available. A
/// claim that is not in `claims` counts as `ReadWriteOnce`.
pub fn downtime_risk(subject: &Subject, claims: &Claims) -> Option<DowntimeRisk> {
    let wanted = RolloutProgress::of(subject).wanted;
    let by_strategy = match &*subject.typed {
        Typed::Deployment(deployment) => of_deployment(deployment, wanted),
        Typed::StatefulSet(_) => Some(DowntimeRisk::StatefulSet),
        Typed::DaemonSet(set) => of_daemon_set(set, wanted),
    };
    let pod = subject.template().and_then(|template| template.spec.as_ref());
    by_strategy.or_else(|| pod.and_then(|pod| exclusive(pod, claims)))
}

/// The pods that a rollout may take away, from the fewest to all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowance {
    /// None: old pods run until new ones are available.
    #[default]
    Nothing,
    /// One at a time, while others are available.
    OnePod,
    /// All.
    AllPods,
}

impl Allowance {
    /// Returns the disruption that a policy allows.
    pub fn of(remediation: &RemediationSpec) -> Self {
        match remediation {
            RemediationSpec { allow_downtime: true, .. } => Self::AllPods,
            RemediationSpec { allow_unavailable: true, .. } => Self::OnePod,
            _ => Self::Nothing,
        }
    }

    /// Returns the disruption that a rollout of a workload causes.
    pub fn needed(subject: &Subject, claims: &Claims) -> Self {
        match downtime_risk(subject, claims) {
            None => Self::Nothing,
            Some(_) if takes_one_pod(subject) => Self::OnePod,
            Some(_) => Self::AllPods,
        }
    }
}

/// Returns true if a rollout ends one pod at a time and leaves others.
fn takes_one_pod(subject: &Subject) -> bool {
    let wanted = RolloutProgress::of(subject).wanted;
    let takes_one = match &*subject.typed {
        Typed::Deployment(deployment) => {
            let strategy = deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
            let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
            let default = IntOrString::String(DEFAULT_SHARE.to_owned());
            let missing = rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).unwrap_or(&default);
            of_deployment(deployment, wanted) == Some(DowntimeRisk::NoSurge)
                && scaled(missing, wanted, Rounding::Down) <= 1
        }
        Typed::StatefulSet(set) => {
            let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
            let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
            let missing = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
            missing.is_none_or(|missing| scaled(missing, wanted, Rounding::Up) <= 1)
        }
        Typed::DaemonSet(set) => {
            let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
            let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
            let amount = |of: Option<&IntOrString>, default| {
                of.map_or(default, |amount| scaled(amount, wanted.max(1), Rounding::Up))
            };
            amount(rolling.and_then(|rolling| rolling.max_surge.as_ref()), 0) == 0
                && amount(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), 1) <= 1
        }
    };
    wanted >= 2 && takes_one
}

/// The order in which workloads are patched. The smaller ones come first, because a harmful patch costs least there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RolloutOrder {
    resilience: Resilience,
    pods: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Resilience {
    /// A rollout keeps old pods, and there are several.
    Kept,
    /// Another pod may remain.
    Several,
    /// There is one pod.
    Single,
}

impl RolloutOrder {
    /// Returns a workload's place: surge and at least two available pods first, single replicas last. Among equals, the
    /// fewest pods come first.
    pub fn of(subject: &Subject, claims: &Claims) -> Self {
        let RolloutProgress { wanted, available, .. } = RolloutProgress::of(subject);
        let resilience = match available {
            ..=1 => Resilience::Single,
            _ if downtime_risk(subject, claims).is_none() => Resilience::Kept,
            _ => Resilience::Several,
        };
        Self { resilience, pods: wanted }
    }
}

fn of_deployment(deployment: &Deployment, wanted: i32) -> Option<DowntimeRisk> {
    let strategy = deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
    if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate") {
        return Some(DowntimeRisk::Recreate);
    }
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    let default = IntOrString::String(DEFAULT_SHARE.to_owned());
    let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref()).unwrap_or(&default);
    let missing = rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).unwrap_or(&default);
    // Rounded as in the Deployment controller. Without surge it replaces at least one pod at a time.
    if scaled(surge, wanted, Rounding::Up) < 1 {
        return Some(DowntimeRisk::NoSurge);
    }
    (scaled(missing, wanted, Rounding::Down) >= wanted).then_some(DowntimeRisk::NoneKept { wanted })
}

fn of_daemon_set(set: &DaemonSet, wanted: i32) -> Option<DowntimeRisk> {
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    // The API server's defaults are a maxSurge of 0 and a maxUnavailable of 1.
    let amount = |of: Option<&IntOrString>, default| {
        of.map_or(default, |amount| scaled(amount, wanted.max(1), Rounding::Up))
    };
    let surge = amount(rolling.and_then(|rolling| rolling.max_surge.as_ref()), 0);
    let missing = amount(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), 1);
    (surge < 1 || missing > 0).then_some(DowntimeRisk::NoSurge)
}

/// Returns the resource of a pod that only one pod can use at a time, on a node or in the cluster.
fn exclusive(pod: &TemplatePodSpec, claims: &Claims) -> Option<DowntimeRisk> {
    if pod.host_network == Some(true) {
        return Some(DowntimeRisk::HostNetwork);
    }
    for container in pod.containers.iter().chain(&pod.init_containers) {
        let mut taken = container.ports.iter().flatten().filter_map(|port| port.host_port);
        if let Some(port) = taken.find(|port| *port > 0) {
            return Some(DowntimeRisk::HostPort { container: container.name.clone(), port });
        }
    }
    let names = pod.volumes.iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
    let mut names = names.map(|claim| &claim.claim_name);
    let claim = names.find(|name| !claims.get(*name).is_some_and(|modes| is_shared(modes)))?;
    Some(DowntimeRisk::Claim(claim.clone()))
}

/// Returns true if pods on different nodes can use a volume at the same time.
fn is_shared(modes: &[String]) -> bool {
    let is_read_only = !modes.is_empty() && modes.iter().all(|mode| mode == "ReadOnlyMany");
    is_read_only || modes.iter().any(|mode| mode == "ReadWriteMany")
}

#[derive(Clone, Copy)]
enum Rounding {
    Up,
    Down,
}

/// Returns an absolute number of pods. The API server only accepts numbers and percentages.
fn scaled(amount: &IntOrString, wanted: i32, rounding: Rounding) -> i32 {
    let percent = match amount {
        IntOrString::Int(number) => return *number,
        IntOrString::String(text) => text.strip_suffix('%').and_then(|percent| percent.parse::<i64>().ok()),
    };
    let hundredfold = percent.unwrap_or_default().saturating_mul(wanted.into());
    let pods = match rounding {
        Rounding::Up => hundredfold.saturating_add(99) / 100,
        Rounding::Down => hundredfold / 100,
    };
    i32::try_from(pods).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
