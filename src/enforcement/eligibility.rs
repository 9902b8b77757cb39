//! Decides which workloads are skipped in their current state. Pure. Exempt namespaces are decided elsewhere.

use jiff::{SignedDuration, Timestamp};

use super::downtime::{Allowance, Claims, DowntimeRisk, downtime_risk};
use super::foreign::foreign_path;
use super::gitops::{Manager, managed_by};
use super::objects::Pod;
use super::rollout_progress::RolloutProgress;
use super::subject::{FIELD_MANAGER, Subject, Typed};
use super::symptoms::ended_at;
use crate::policy::{GitOpsMode, RemediationSpec, SkipReason};

/// The annotation that excludes a workload from enforcement if its value is `true`.
pub const IGNORE: &str = "devops.stochastic.io/ignore";
/// The annotation with the time of a request for another attempt after a failed patch.
pub const RETRY: &str = "devops.stochastic.io/retry";

/// The reason why a workload is not patched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ineligible {
    /// An earlier patch failed, and would again.
    #[error(
        "an earlier patch failed: {why}; another attempt needs other ports, another command, other arguments or another \
         image of a container, or another defaultProbe or defaultResources of the policy, or \
         kube-devops policy retry {workload}"
    )]
    FailedBefore {
        /// The cause.
        why: String,
        /// The workload as the command takes it.
        workload: String,
    },
    /// An earlier patch was withdrawn, and the next attempt waits.
    #[error(
        "an earlier patch was withdrawn: {why}; the next attempt waits until {until}, or for \
         kube-devops policy retry {workload}"
    )]
    BackingOff {
        /// The time of the next attempt.
        until: Timestamp,
        /// The cause.
        why: String,
        /// The workload as the command takes it.
        workload: String,
    },
    /// It is being deleted.
    #[error("it is being deleted")]
    BeingDeleted,
    /// Its annotation excludes it.
    #[error("its annotation {IGNORE} is \"true\"")]
    Ignored,
    /// Its parent would revert a patch.
    #[error("{kind} {name} controls it and would revert a patch: fix {kind} {name} instead")]
    Controlled {
        /// The parent's kind.
        kind: String,
        /// The parent's name.
        name: String,
    },
    /// An apply would remove fields that another client owns under our field manager's name.
    #[error(
        "another client uses field manager {FIELD_MANAGER} and owns {0}: rename that client's manager and \
         remove its entry from metadata.managedFields"
    )]
    ManagerTaken(String),
    /// A GitOps tool manages it and would revert a patch.
    #[error("{0} manages it: fix its source, or set remediation.gitops to patch")]
    Managed(Manager),
    /// A patch would cause no rollout.
    #[error("its update strategy is OnDelete, so that a patch reaches no pod by itself")]
    OnDelete,
    /// A patch would reach only some of the pods.
    #[error("its partition of {0} holds a rollout back")]
    Partitioned(i32),
    /// Its rollout is paused.
    #[error("its rollout is paused")]
    Paused,
    /// It has no pods, so the effect of a patch cannot be observed.
    #[error("it has no desired pods, so a patch could not be verified")]
    NoPods,
    /// A rollout can leave no pod available, and the policy does not allow that.
    #[error("{0}, or set remediation.allowDowntime to true to patch it all the same")]
    Downtime(DowntimeRisk),
    /// A rollout takes one pod at a time, and the policy doesn't allow that.
    #[error(
        "{0}, or set remediation.allowUnavailable to true: one pod at a time is replaced, after a test connection to the port of \
         one"
    )]
    OnePod(DowntimeRisk),
    /// Nothing listens on the port of a probe.
    #[error(
        "pod {pod} refused a connection to port {port}: name the port that it listens on in defaultProbe.tcpPort"
    )]
    PortRefused {
        /// The pod.
        pod: String,
        /// The port.
        port: u16,
    },
    /// A network policy may be in the way, or the pod is too slow.
    #[error(
        "pod {pod} did not answer a connection to port {port}: allow the operator's pods as ingress there, or name another \
         port in defaultProbe.tcpPort"
    )]
    PortUnreachable {
        /// The pod.
        pod: String,
        /// The port.
        port: u16,
    },
    /// A proxy accepts connections in place of the server, so a connection is no evidence.
    #[error("{0}, so a connection says nothing about the server: add the probes to the manifest")]
    AnswerUnknown(String),
    /// The test connection would be to the last pod that serves.
    #[error("only one of its pods is ready, so its port is not tested: run a second replica")]
    LastPod,
    /// The pod is watched after the test connection.
    #[error("pod {pod} answered a connection to the port of a probe, and is watched for a restart")]
    ConnectWatched {
        /// The pod.
        pod: String,
    },
    /// The server does not survive a connection that sends nothing.
    #[error(
        "{pod} ended or restarted within a minute after a test connection to the port of a probe: add a probe that the server \
         bears to the manifest"
    )]
    ConnectHarmed {
        /// The pod.
        pod: String,
    },
    /// A rollout is in progress.
    #[error("a rollout is under way: {updated} of {wanted} pods are updated")]
    RollingOut {
        /// The pods of the newest revision.
        updated: i32,
        /// The number of desired pods.
        wanted: i32,
    },
    /// Some pods are already unavailable.
    #[error("only {available} of {wanted} pods are available")]
    PodsUnavailable {
        /// The available pods.
        available: i32,
        /// The number of desired pods.
        wanted: i32,
    },
    /// A container restarted lately, so restarts after a patch would prove nothing.
    #[error(
        "container {container} of pod {pod} ended at {at}; it has to run without a restart for a while first"
    )]
    Restarted {
        /// The pod.
        pod: String,
        /// The container.
        container: String,
        /// The time at which the container terminated.
        at: Timestamp,
    },
}

impl Ineligible {
    /// Returns the reason as conditions and rehearsals name it.
    pub fn reason(&self) -> SkipReason {
        match self {
            Self::FailedBefore { .. } => SkipReason::FailedBefore,
            Self::BackingOff { .. } => SkipReason::BackingOff,
            Self::BeingDeleted => SkipReason::BeingDeleted,
            Self::Ignored => SkipReason::Ignored,
            Self::Controlled { .. } => SkipReason::Controlled,
            Self::ManagerTaken(_) => SkipReason::ManagerTaken,
            Self::Managed(_) => SkipReason::ManagedByGitOps,
            Self::OnDelete => SkipReason::OnDelete,
            Self::Partitioned(_) => SkipReason::Partitioned,
            Self::Paused => SkipReason::Paused,
            Self::NoPods => SkipReason::NoPods,
            Self::Downtime(risk) | Self::OnePod(risk) => risk.reason(),
            Self::PortRefused { .. } => SkipReason::PortRefused,
            Self::PortUnreachable { .. } => SkipReason::PortUnreachable,
            Self::AnswerUnknown(_) => SkipReason::AnswerUnknown,
            Self::LastPod => SkipReason::LastPod,
            Self::ConnectWatched { .. } => SkipReason::ConnectWatched,
            Self::ConnectHarmed { .. } => SkipReason::ConnectHarmed,
            Self::RollingOut { .. } => SkipReason::RollingOut,
            Self::PodsUnavailable { .. } => SkipReason::PodsUnavailable,
            Self::Restarted { .. } => SkipReason::RestartedLately,
        }
    }

    /// Returns true if the reason is transient; otherwise a user has to change something.
    pub fn passing(&self) -> bool {
        matches!(
            self,
            Self::RollingOut { .. }
                | Self::PodsUnavailable { .. }
                | Self::Restarted { .. }
                | Self::ConnectWatched { .. }
        )
    }
}

/// Returns the reason why a workload is not patched now, if there is one. Reasons that need a user come before
/// transient ones.
///
/// `pods` are the workload's pods of any revision, and `claims` the claims of its namespace. If a container terminated
/// within `verifySeconds` before now, its restarts after a patch would be no evidence.
pub fn ineligible(
    subject: &Subject,
    pods: &[Pod],
    remediation: &RemediationSpec,
    claims: &Claims,
    now: Timestamp,
) -> Option<Ineligible> {
    let progress = RolloutProgress::of(subject);
    let verify = SignedDuration::from_secs(remediation.verify_seconds.into());
    left_alone(subject, remediation.gitops)
        .or_else(|| held(subject, &progress))
        .or_else(|| takes_pods(subject, Allowance::of(remediation), claims))
        .or_else(|| unsettled(&progress))
        .or_else(|| restarted(pods, now.checked_sub(verify).unwrap_or(Timestamp::MIN)))
}

/// Returns the reason why a workload that is about to be created gets no fields, if there is one.
///
/// A field that fails is withdrawn, and that is a rollout. A workload whose rollouts take more pods away than the policy
/// allows therefore gets none. It has no status yet, so transient reasons do not apply.
pub(super) fn ineligible_at_creation(
    subject: &Subject,
    remediation: &RemediationSpec,
    claims: &Claims,
) -> Option<Ineligible> {
    // The number of nodes of a new DaemonSet is not known.
    let observed = !matches!(*subject.typed, Typed::DaemonSet(_));
    let progress = RolloutProgress { observed, ..RolloutProgress::of(subject) };
    left_alone(subject, remediation.gitops)
        .or_else(|| held(subject, &progress))
        .or_else(|| takes_pods(subject, Allowance::of(remediation), claims))
}

/// Returns a reason that follows from the workload's ownership.
fn left_alone(subject: &Subject, gitops: GitOpsMode) -> Option<Ineligible> {
    let metadata = subject.metadata();
    if metadata.deletion_timestamp.is_some() {
        return Some(Ineligible::BeingDeleted);
    }
    let annotations = metadata.annotations.as_ref();
    if annotations.and_then(|annotations| annotations.get(IGNORE)).is_some_and(|value| value == "true") {
        return Some(Ineligible::Ignored);
    }
    let mut owners = metadata.owner_references.iter().flatten();
    if let Some(parent) = owners.find(|owner| owner.controller == Some(true)) {
        return Some(Ineligible::Controlled { kind: parent.kind.clone(), name: parent.name.clone() });
    }
    if let Some(path) = foreign_path(subject) {
        return Some(Ineligible::ManagerTaken(path));
    }
    match gitops {
        GitOpsMode::Report => managed_by(subject).map(Ineligible::Managed),
        GitOpsMode::Patch => None,
    }
}

/// Returns the reason why a rollout would not reach all pods.
fn held(subject: &Subject, progress: &RolloutProgress) -> Option<Ineligible> {
    match &*subject.typed {
        Typed::Deployment(deployment) => {
            let spec = deployment.spec.as_ref();
            if spec.and_then(|spec| spec.paused) == Some(true) {
                return Some(Ineligible::Paused);
            }
        }
        Typed::StatefulSet(set) => {
            let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
            if strategy.and_then(|it| it.type_.as_deref()) == Some("OnDelete") {
                return Some(Ineligible::OnDelete);
            }
            let partition = strategy.and_then(|it| it.rolling_update.as_ref()).and_then(|it| it.partition);
            if let Some(partition) = partition.filter(|partition| *partition > 0) {
                return Some(Ineligible::Partitioned(partition));
            }
        }
        Typed::DaemonSet(set) => {
            let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
            if strategy.and_then(|it| it.type_.as_deref()) == Some("OnDelete") {
                return Some(Ineligible::OnDelete);
            }
        }
    }
    // A DaemonSet reports no pods until its controller has observed the spec.
    (progress.wanted <= 0 && progress.observed).then_some(Ineligible::NoPods)
}

/// Returns a reason if a rollout takes more pods away than the policy allows.
fn takes_pods(subject: &Subject, allows: Allowance, claims: &Claims) -> Option<Ineligible> {
    let risk = downtime_risk(subject, claims)?;
    match Allowance::needed(subject, claims) {
        needed if needed <= allows => None,
        Allowance::OnePod => Some(Ineligible::OnePod(risk)),
        _ => Some(Ineligible::Downtime(risk)),
    }
}

/// Returns a reason if the workload is rolling out or not fully available.
fn unsettled(progress: &RolloutProgress) -> Option<Ineligible> {
    let &RolloutProgress { updated, available, wanted, .. } = progress;
    if !progress.is_rolled_out() {
        return Some(Ineligible::RollingOut { updated, wanted });
    }
    (!progress.is_complete()).then_some(Ineligible::PodsUnavailable { available, wanted })
}

/// Returns the container that terminated last, if it did so after `since`.
fn restarted(pods: &[Pod], since: Timestamp) -> Option<Ineligible> {
    let staying = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let ended = staying.flat_map(|pod| {
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        statuses.into_iter().flatten().filter_map(move |status| Some((ended_at(status)?, pod, status)))
    });
    let (at, pod, status) = ended.max_by_key(|(at, ..)| *at).filter(|(at, ..)| *at > since)?;
    let pod = pod.metadata.name.clone().unwrap_or_default();
    Some(Ineligible::Restarted { pod, container: status.name.clone(), at })
}

#[cfg(test)]
mod tests;
