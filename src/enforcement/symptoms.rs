//! Reads a pod's health from its status and describes it. Pure. `verify` draws the conclusions.

use std::fmt::Write as _;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, PodCondition};

use super::objects::Pod;

/// The termination reason of a container that exceeded its memory limit.
const OOM_KILLED: &str = "OOMKilled";

/// The way in which a container failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breakdown {
    /// It exceeded its memory limit.
    OutOfMemory,
    /// It terminates repeatedly.
    Loop,
    /// It terminated once.
    Restart,
}

pub(super) fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// Returns the pod's creation time, or the minimum time if it has none.
pub(super) fn created(pod: &Pod) -> Timestamp {
    pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |at| at.0)
}

pub(super) fn condition<'p>(pod: &'p Pod, type_: &str) -> Option<&'p PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Returns true if the pod is ready.
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

/// Returns the ordinal in the name of a `StatefulSet`'s pod.
pub(super) fn ordinal(pod: &Pod) -> Option<i64> {
    name(pod).rsplit_once('-')?.1.parse().ok()
}

/// Returns the time of the pod's last change between ready and not ready.
pub(super) fn since(pod: &Pod) -> Timestamp {
    let changed = condition(pod, "Ready").and_then(|ready| ready.last_transition_time.as_ref());
    changed.map_or_else(|| created(pod), |at| at.0)
}

/// Returns the latest start time of the pod's running containers.
pub(super) fn started(pod: &Pod) -> Option<Timestamp> {
    let running = statuses(pod).iter().filter_map(|status| status.state.as_ref()?.running.as_ref());
    running.filter_map(|running| running.started_at.as_ref()).map(|at| at.0).max()
}

/// Returns true if the pod has terminated for good, because it was evicted or its node refused it. Its controller
/// creates a replacement.
pub(super) fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Returns the scheduler's message if it found no node for the pod.
pub(super) fn unschedulable(pod: &Pod) -> Option<&str> {
    let condition = condition(pod, "PodScheduled")?;
    let refused = condition.status == "False" && condition.reason.as_deref() == Some("Unschedulable");
    refused.then(|| condition.message.as_deref().unwrap_or("no node has room"))
}

fn statuses(pod: &Pod) -> &[ContainerStatus] {
    pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default()
}

/// Returns the container's last termination, if there was one.
fn last_end(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let both = [&status.state, &status.last_state];
    both.into_iter().flatten().find_map(|state| state.terminated.as_ref())
}

/// Returns the time of the container's last termination, if there was one.
pub(super) fn ended_at(status: &ContainerStatus) -> Option<Timestamp> {
    last_end(status)?.finished_at.as_ref().map(|at| at.0)
}

/// Returns the first container that failed, with a description.
///
/// As many restarts as before the patch are no failure.
///
/// Init containers are excluded: they are never patched, and many fail on purpose while they wait for other services.
pub(super) fn breakdown(pod: &Pod, usual_restarts: i32) -> Option<(Breakdown, String)> {
    statuses(pod).iter().find_map(|status| {
        let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
        let looping = waiting.filter(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"));
        let end = last_end(status);
        let died = status.state.as_ref().is_some_and(|state| state.terminated.is_some());
        let out_of_memory = end.is_some_and(|end| end.reason.as_deref() == Some(OOM_KILLED));
        let restarts = status.restart_count + i32::from(died);
        let breakdown =
            if (looping.is_none() || usual_restarts > 0) && restarts <= usual_restarts && !out_of_memory {
                return None;
            } else if out_of_memory {
                Breakdown::OutOfMemory
            } else if looping.is_some() {
                Breakdown::Loop
            } else {
                Breakdown::Restart
            };
        let mut words = format!("pod {}, container {}: ", name(pod), status.name);
        words += &end.map_or_else(|| "ended".to_owned(), ended);
        match status.restart_count {
            ..=0 => {}
            1 => words += ", restarted once",
            times => {
                // Writing to a string can't fail.
                let _ = write!(words, ", restarted {times} times");
            }
        }
        if let Some(message) = looping.and_then(|waiting| waiting.message.as_deref()) {
            words += ": ";
            words += message;
        }
        Some((breakdown, words))
    })
}

fn ended(end: &ContainerStateTerminated) -> String {
    let mut words = format!("ended with exit code {}", end.exit_code);
    match end.reason.as_deref() {
        // The kubelet sends these signals to a container whose liveness or startup probe failed too often.
        Some("Error") | None if matches!(end.exit_code, 137 | 143) => {
            words += " (killed, as after a liveness or startup probe that failed too often)";
        }
        Some(reason) => {
            let _ = write!(words, " ({reason})");
        }
        None => {}
    }
    if let Some(message) = end.message.as_deref().filter(|message| !message.is_empty()) {
        words += ": ";
        words += message;
    }
    words
}

/// Describes the obstacle of a pod that is not ready.
pub(super) fn unready(pod: &Pod) -> String {
    let init = pod.status.as_ref().and_then(|status| status.init_container_statuses.as_deref());
    // The other containers wait for the init container that still runs.
    let in_the_way = init.unwrap_or_default().iter().find(|status| {
        let ended = status.state.as_ref().and_then(|state| state.terminated.as_ref());
        status.started != Some(true) && ended.is_none_or(|end| end.exit_code != 0)
    });
    let Some(status) = in_the_way.or_else(|| statuses(pod).iter().find(|status| !status.ready)) else {
        let message = condition(pod, "Ready").and_then(|ready| ready.message.as_deref());
        return format!("pod {} is not ready: {}", name(pod), message.unwrap_or("no container has started"));
    };
    let state = status.state.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let seen = if let Some(waiting) = waiting {
        let reason = waiting.reason.as_deref().unwrap_or("waiting");
        let message = waiting.message.as_deref().map(|message| format!(": {message}"));
        format!("{reason}{}", message.unwrap_or_default())
    } else if in_the_way.is_some() {
        "an init container that has not succeeded".to_owned()
    } else if state.is_none_or(|state| state.running.is_none()) {
        "not running".to_owned()
    } else if status.started == Some(false) {
        "running, but its startup probe has not succeeded".to_owned()
    } else {
        "running, but its readiness probe fails".to_owned()
    };
    format!("pod {}, container {} is not ready: {seen}", name(pod), status.name)
}
