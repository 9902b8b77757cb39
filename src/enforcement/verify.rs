//! The verdict on a patch, from the state of the workload's new revision. Pure and stateless: each verdict depends only
//! on the current state, so a restarted operator continues from there.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::field::ContainerField;
use super::objects::Pod;
use super::refusal_class::is_quota_exceeded;
use super::rollout_progress::{DEADLINE_EXCEEDED, RolloutProgress};
use super::symptoms::{self, Breakdown, ordinal};
use crate::policy::RemediationReason;

/// Time until the next check if only an event can change the verdict.
const SOON: SignedDuration = SignedDuration::from_secs(5);

/// Extra pods' worth of time allowed per rollout.
const PATIENCE: i32 = 10;

/// The observations of a workload after a patch.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The progress of its rollout.
    pub progress: RolloutProgress,
    /// The new revision, as in the labels of its pods; `None` until its controller has created it.
    pub revision: Option<String>,
    /// The pods of the new revision, and no others.
    pub pods: Vec<Pod>,
    /// The pods of older revisions, while pods of the new one are missing.
    pub former: Vec<Pod>,
    /// The nodes that are cordoned or not ready. The patch is not the cause of trouble there.
    pub nodes_away: BTreeSet<String>,
}

/// The facts about a patch.
#[derive(Debug, Clone)]
pub struct AppliedPatch {
    /// The time at which it was applied.
    pub at: Timestamp,
    /// The number of desired pods at that time, if known.
    pub pods: Option<i32>,
    /// The fields that it set.
    pub fields: BTreeSet<ContainerField>,
    /// Time for which the new pods must stay available.
    pub settling: SignedDuration,
    /// The restarts that the containers of a pod had before the patch too.
    pub usual_restarts: i32,
}

/// The verdict on a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutVerdict {
    /// It is too early for a verdict.
    Wait {
        /// The time at which the verdict may change without an event; later than now.
        until: Timestamp,
        /// The evidence against the patch so far, with its reason: a pod that should be ready, but is not.
        against: Option<(RemediationReason, String)>,
    },
    /// The new revision runs.
    Verified,
    /// No pods are desired any longer, so there is no evidence.
    Idle,
    /// The new revision is worse than the old one was.
    Failed {
        /// The reason.
        reason: RemediationReason,
        /// Pod, container and observation.
        message: String,
    },
}

/// Evaluates a patch by the state of the new revision.
pub fn verify(
    patched: &AppliedPatch,
    evidence: &Evidence,
    verify_seconds: u32,
    now: Timestamp,
) -> RolloutVerdict {
    let verify = SignedDuration::from_secs(i64::from(verify_seconds.max(1)));
    let progress = &evidence.progress;
    let mut pods = sort_out(patched, evidence);
    let broken = pods.evident.iter().find_map(|pod| symptoms::breakdown(pod, patched.usual_restarts));
    if let Some((breakdown, message)) = broken {
        let reason = match breakdown {
            Breakdown::OutOfMemory => RemediationReason::OomKilled,
            Breakdown::Loop => RemediationReason::CrashLoop,
            Breakdown::Restart => RemediationReason::Restarted,
        };
        return RolloutVerdict::Failed { reason, message };
    }
    pods.evident.sort_by_key(|pod| (symptoms::since(pod), symptoms::name(pod)));
    let (ready, unready): (Vec<&Pod>, Vec<&Pod>) =
        pods.evident.iter().partition(|pod| symptoms::is_ready(pod));
    let last_ready = ready.last().map(|pod| symptoms::since(pod));

    if progress.wanted <= 0 && progress.observed {
        return RolloutVerdict::Idle;
    }
    if progress.is_complete() && unready.is_empty() {
        return complete(patched, progress, &ready, now);
    }

    // The controller waits for those pods, so the verdict waits too.
    let excused = unready.is_empty() && (pods.excused_unready > 0 || is_held_up(evidence));
    let failure = progress.failure.as_ref().filter(|_| progress.observed && !excused);
    if let Some((reason, message)) = failure
        && reason == DEADLINE_EXCEEDED
    {
        let pod = unready.first().map(|pod| format!("; {}", unready_in_words(pod)));
        let message = format!("{message}{}", pod.unwrap_or_default());
        return RolloutVerdict::Failed { reason: RemediationReason::ProgressDeadlineExceeded, message };
    }

    let last_progress = last_ready.map_or(patched.at, |at| at.max(patched.at));
    if let Some(pod) = unready.first() {
        return not_ready(pod, last_progress, verify, now);
    }

    // Before the controller creates the next pod, the last one must be available and an old one must stop.
    let deadline = later(last_progress, verify.saturating_add(turn(progress)));
    let made = i32::try_from(pods.made).unwrap_or(i32::MAX);
    let expected = patched.pods.map_or(progress.wanted, |pods| pods.min(progress.wanted));
    if excused || made >= expected || progress.held || !progress.observed {
        return wait(now, if now < deadline { deadline } else { later(now, verify) }, None);
    }
    if now < deadline {
        return wait(now, deadline, None);
    }
    let (reason, message) = not_made(progress, made, expected);
    RolloutVerdict::Failed { reason, message }
}

/// Returns the verdict on a complete rollout: verified once the ready pods stayed available for the settling time.
fn complete(
    patched: &AppliedPatch,
    progress: &RolloutProgress,
    ready: &[&Pod],
    now: Timestamp,
) -> RolloutVerdict {
    // Pods and status come from different watches, so one may be older than the other.
    let Some(last) = ready.last() else { return wait(now, later(now, SOON), None) };
    let available = later(symptoms::since(last), seconds(i64::from(progress.min_ready_seconds)));
    let started = ready.iter().filter_map(|pod| symptoms::started(pod)).max().unwrap_or(patched.at);
    let settled = later(available.max(patched.at).max(started), patched.settling);
    if now >= settled { RolloutVerdict::Verified } else { wait(now, settled, None) }
}

/// Returns the verdict on a pod that is not ready: failed after the time for verification.
fn not_ready(pod: &Pod, last_progress: Timestamp, verify: SignedDuration, now: Timestamp) -> RolloutVerdict {
    let is_unschedulable = symptoms::unschedulable(pod).is_some();
    let reason =
        if is_unschedulable { RemediationReason::Unschedulable } else { RemediationReason::NotReady };
    // A recently rescheduled pod gets its full time too.
    let deadline = later(last_progress.max(symptoms::since(pod)), verify);
    if now < deadline {
        return wait(now, deadline, Some((reason, unready_in_words(pod))));
    }
    let words = unready_in_words(pod);
    let message = format!("{words}, and no other pod got ready for {} s", verify.as_secs());
    RolloutVerdict::Failed { reason, message }
}

/// Returns the number of ready pods, and the time at which the last of them became ready; `None` if no pod is ready.
pub fn ready_pods(pods: &[Pod]) -> Option<(usize, Timestamp)> {
    let ready = || pods.iter().filter(|pod| symptoms::is_ready(pod));
    Some((ready().count(), ready().map(symptoms::since).max()?))
}

/// Returns the time allowed for a whole rollout. Each pod may become ready at the last moment.
pub fn patience(progress: &RolloutProgress, verify_seconds: u32) -> SignedDuration {
    let each = seconds(i64::from(verify_seconds.max(1))).saturating_add(turn(progress));
    each.saturating_mul(PATIENCE.saturating_add(progress.wanted.max(0)))
}

/// Returns the time that a healthy pod needs to become available, plus the time in which the old one stops.
fn turn(progress: &RolloutProgress) -> SignedDuration {
    seconds(i64::from(progress.min_ready_seconds).saturating_add(progress.grace_seconds))
}

/// Returns the reason why the controller created no more pods of the new revision.
fn not_made(progress: &RolloutProgress, made: i32, expected: i32) -> (RemediationReason, String) {
    let told = progress.failure.as_ref().map(|(_, message)| message.as_str());
    let reason = match told {
        Some(message) if is_quota_exceeded(message) => RemediationReason::QuotaExceeded,
        _ => RemediationReason::NotCreated,
    };
    let why = told.unwrap_or("its events say why");
    (reason, format!("only {made} of {expected} pods of the new revision were made: {why}"))
}

/// The pods of the new revision, sorted by their value as evidence.
struct Sorted<'e> {
    /// The pods whose health is evidence.
    evident: Vec<&'e Pod>,
    /// The number of other pods that are not ready.
    excused_unready: usize,
    /// The number of all these pods.
    made: usize,
}

fn sort_out<'e>(patched: &AppliedPatch, evidence: &'e Evidence) -> Sorted<'e> {
    let progress = &evidence.progress;
    // An evicted or refused pod is ignored, because its controller replaces it.
    let mut pods: Vec<&Pod> = evidence.pods.iter().filter(|pod| !symptoms::has_ended(pod)).collect();
    // Pods created within one second cannot be ordered by time. Failed ones count first, and unready ones last.
    pods.sort_by_key(|pod| {
        let standing = (symptoms::breakdown(pod, patched.usual_restarts).is_none(), !symptoms::is_ready(pod));
        (symptoms::created(pod), standing, symptoms::name(pod))
    });
    // The workload was scaled up since the patch. The additional pods have the highest ordinals, or else the latest
    // times.
    let scaled = patched.pods.filter(|pods| *pods < progress.wanted).map(|pods| pods.max(0));
    let is_scaled = |position: usize, pod: &Pod| {
        scaled.is_some_and(|before| match (&progress.revision, ordinal(pod)) {
            (Some(_), Some(ordinal)) => ordinal >= i64::from(progress.first_ordinal) + i64::from(before),
            _ => i64::try_from(position).is_ok_and(|position| position >= i64::from(before)),
        })
    };
    let excused = |pod: &Pod| pod.metadata.deletion_timestamp.is_some() || is_away(pod, evidence);
    let mut sorted = Sorted { evident: Vec::new(), excused_unready: 0, made: pods.len() };
    for (position, pod) in pods.into_iter().enumerate() {
        if !is_scaled(position, pod) && !excused(pod) {
            sorted.evident.push(pod);
        } else if !symptoms::is_ready(pod) {
            sorted.excused_unready += 1;
        }
    }
    sorted
}

/// Returns true if an old pod must stop before a new one can start, but its node is cordoned or not ready.
fn is_held_up(evidence: &Evidence) -> bool {
    let in_the_way = |pod: &&Pod| pod.metadata.deletion_timestamp.is_some() || !symptoms::is_ready(pod);
    evidence.former.iter().filter(in_the_way).any(|pod| is_away(pod, evidence))
}

fn is_away(pod: &Pod, evidence: &Evidence) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
    node.is_some_and(|node| evidence.nodes_away.contains(node))
}

fn unready_in_words(pod: &Pod) -> String {
    match symptoms::unschedulable(pod) {
        Some(message) => format!("pod {} can't be scheduled: {message}", symptoms::name(pod)),
        None => symptoms::unready(pod),
    }
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds.max(0))
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Returns a finding that requires another check, never immediately.
fn wait(now: Timestamp, until: Timestamp, against: Option<(RemediationReason, String)>) -> RolloutVerdict {
    RolloutVerdict::Wait { until: until.max(later(now, SignedDuration::from_secs(1))), against }
}

#[cfg(test)]
mod tests;
