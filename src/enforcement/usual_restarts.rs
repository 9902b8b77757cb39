//! The baseline of a patch: the restarts that containers have without it. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ContainerStatus;

use super::objects::Pod;
use super::symptoms::{ended_at, has_ended};

/// Seconds of an hour, the time to which the number of restarts refers.
const HOUR: i64 = SignedDuration::from_hours(1).as_secs();

/// Returns the most restarts of a container of these pods within an hour; `None` if no container has a status.
///
/// A status has the number of restarts and no times. All of them were between the start of the pod and the last start of
/// the container. A container that has run since its first minutes had all of its restarts in these.
pub fn usual_restarts(pods: &[Pod]) -> Option<i32> {
    let of_pod = |pod: &Pod| {
        let status = pod.status.as_ref()?;
        let started = status.start_time.as_ref().map(|time| time.0);
        status.container_statuses.iter().flatten().map(|container| within_an_hour(container, started)).max()
    };
    pods.iter().filter(|pod| !has_ended(pod)).filter_map(of_pod).max()
}

/// Returns the restarts within an hour, rounded up. If it is unknown when they were, all of them count.
fn within_an_hour(container: &ContainerStatus, pod_started: Option<Timestamp>) -> i32 {
    let running = container.state.as_ref().and_then(|state| state.running.as_ref()?.started_at.as_ref());
    let last = running.map(|at| at.0).or_else(|| ended_at(container));
    let seconds = last.zip(pod_started).map_or(0, |(last, began)| last.duration_since(began).as_secs());
    let (restarts, seconds) = (i64::from(container.restart_count), seconds.max(HOUR));
    let rounded_up =
        (restarts * HOUR).div_euclid(seconds) + i64::from((restarts * HOUR).rem_euclid(seconds) > 0);
    i32::try_from(rounded_up).unwrap_or(container.restart_count)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A time in minutes.
    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
    }

    /// A container with this number of restarts, the last of them at a minute.
    fn container(restarts: i32, last: i64) -> Value {
        json!({ "name": "main", "image": "x:1", "imageID": "", "ready": true, "restartCount": restarts,
            "state": { "running": { "startedAt": at(last) } } })
    }

    /// A pod that started at minute 0.
    fn pod(containers: &[Value]) -> Pod {
        let status = json!({ "startTime": at(0), "containerStatuses": containers });
        serde_json::from_value(json!({ "metadata": { "name": "a" }, "status": status })).unwrap()
    }

    #[test]
    fn restarts_at_the_start_count_in_full_however_old_the_pod_is() {
        for (what, restarts, last, usual) in [
            ("none", 0, 0, 0),
            ("two at the start", 2, 1, 2),
            ("two within the first hour", 2, 60, 2),
            ("one a day, for a week", 7, 7 * 24 * 60, 1),
            ("four an hour, for a day", 96, 24 * 60, 4),
            ("three within two hours", 3, 120, 2),
        ] {
            assert_eq!(usual_restarts(&[pod(&[container(restarts, last)])]), Some(usual), "{what}");
        }
    }

    #[test]
    fn the_container_with_the_most_restarts_counts() {
        let pods = [pod(&[container(1, 1), container(3, 2)]), pod(&[container(2, 1)]), pod(&[])];
        assert_eq!(usual_restarts(&pods), Some(3));
        assert_eq!(usual_restarts(&pods[2..]), None, "nothing is known");
        assert_eq!(usual_restarts(&[]), None);
    }

    #[test]
    fn a_container_that_does_not_run_counts_until_its_last_end() {
        let mut waiting = container(48, 0);
        waiting["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        assert_eq!(usual_restarts(&[pod(&[waiting.clone()])]), Some(48), "nobody knows when they were");
        waiting["lastState"] = json!({ "terminated": { "exitCode": 1, "finishedAt": at(24 * 60) } });
        let mut evicted = pod(&[waiting]);
        assert_eq!(usual_restarts(&[evicted.clone()]), Some(2));
        evicted.status.as_mut().unwrap().phase = Some("Failed".to_owned());
        assert_eq!(usual_restarts(&[evicted]), None, "its controller replaced it");
    }
}
