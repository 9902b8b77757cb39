//! The verdict on a suspicion: events and nodes show if our fields are the cause. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::refused::refused_fields;
use super::trouble::{PASSING, PodSeen, RESTARTS, Restart, Trouble, TroubleKind, window};
use crate::enforcement::field::{Compute, ContainerField, Field, Fields};
use crate::policy::RemediationReason;

/// The time before the first sign of trouble from which events count, because clocks and watches differ a little.
const EARLIER: SignedDuration = SignedDuration::from_mins(1);
/// The reason of the [kubelet's
/// event](https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/kubelet/oom/oom_watcher_linux.go) about a node that
/// killed a process because it had no memory left, and not because of a limit.
const SYSTEM_OOM: &str = "SystemOOM";

/// An event about a pod or a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventSeen {
    /// The name of the object.
    pub name: String,
    /// The part of the object, such as `spec.containers{web}`.
    pub field_path: String,
    /// The reason in one word.
    pub reason: String,
    /// The note.
    pub note: String,
    /// The number of its occurrences.
    pub count: u32,
    /// The time of its first occurrence.
    pub first: Option<Timestamp>,
    /// The time of its last occurrence.
    pub last: Option<Timestamp>,
}

/// The knowledge about one workload in trouble.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    /// The fields of the workload that enforcement owns.
    pub owned: Fields,
    /// The events about one of its pods; about the node of a pod that ran out of memory; about the workload if pods are
    /// refused.
    pub events: Vec<EventSeen>,
    /// The nodes that have been ready for long enough, and the time since which their pods are evidence.
    pub steady: BTreeMap<String, Timestamp>,
    /// The usual restarts of a container per hour before the patch; `None` if unknown.
    pub usual_restarts: Option<u32>,
    /// The pods of the workload.
    pub pods: Vec<PodSeen>,
    /// True if another client may have changed the template after the patch was verified.
    pub others_changed: bool,
    /// The message of the controller that cannot create pods.
    pub refusal: Option<String>,
}

/// The harm that our fields cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Harm {
    /// The fields to withdraw.
    pub fields: BTreeSet<ContainerField>,
    /// The reason in one word.
    pub reason: RemediationReason,
    /// Pod, container and observation.
    pub message: String,
}

impl Harm {
    /// Returns the ports of the harmful probes that got no answer. There are none after other harm, such as servers
    /// that exit when something connects to them.
    pub fn silent_ports(&self, owned: &Fields) -> BTreeSet<u16> {
        if !matches!(self.reason, RemediationReason::NotReady | RemediationReason::ProbeRestarts) {
            return BTreeSet::new();
        }
        let probes = self.fields.iter().filter_map(|of| owned.get(of));
        let ports = probes.filter_map(|probe| probe.pointer("/tcpSocket/port")?.as_u64());
        ports.filter_map(|port| u16::try_from(port).ok()).collect()
    }
}

/// Evaluates a suspicion. `None` if there is no evidence that our fields are the cause.
pub fn find_harm(trouble: &Trouble, known: &Knowledge, now: Timestamp) -> Option<Harm> {
    match trouble.kind {
        TroubleKind::OutOfMemory => out_of_memory(trouble, known, now),
        TroubleKind::Restarts => restarts(trouble, known, now),
        TroubleKind::Unready => unready(trouble, known, now),
        TroubleKind::Refused => refused(known),
    }
}

/// Returns the memory limits of ours under which containers ran out of memory. The status of a container is the same if
/// its node had no memory left; then the node has an event of that time.
fn out_of_memory(trouble: &Trouble, known: &Knowledge, now: Timestamp) -> Option<Harm> {
    let (name, node) = trouble.pods.first_key_value()?;
    let pod = known.pods.iter().find(|pod| pod.name == *name && known.steady.contains_key(node))?;
    let by_node = |end: &&Restart| {
        known.events.iter().any(|event| event.reason == SYSTEM_OOM && event.is_around(end.at))
    };
    let by_limit = pod.out_of_memory_lately(now).filter(|end| !by_node(end));
    let limits = by_limit.map(|end| limit_of(&end.container));
    let fields: BTreeSet<ContainerField> = limits.filter(|of| known.owned.contains_key(of)).collect();
    let container = &fields.first()?.container;
    let message = format!("container {container} of pod {name} ran out of memory");
    Some(Harm { fields, reason: RemediationReason::OomKilled, message })
}

/// Returns the memory limit of a container.
fn limit_of(container: &str) -> ContainerField {
    ContainerField::new(container, Field::Limit(Compute::Memory))
}

/// Returns the containers that our probe restarts. Restarts before the node was well are no evidence.
fn restarts(trouble: &Trouble, known: &Knowledge, now: Timestamp) -> Option<Harm> {
    let (name, node) = trouble.pods.first_key_value()?;
    let steady = known.steady.get(node)?;
    let pod = known.pods.iter().find(|pod| pod.name == *name)?;
    let (containers, since) = pod.restarting(RESTARTS, window(now).max(*steady))?;
    killed(pod, &containers, known, since, now).or_else(|| ended(pod, &containers, known))
}

/// Returns the containers that the kubelet restarted because of our probe.
///
/// Only `Killing` says so. A server that needs a second to listen fails its startup probe at each start, and the
/// kubelet reports that as `Unhealthy`.
fn killed(
    pod: &PodSeen,
    containers: &BTreeSet<&str>,
    known: &Knowledge,
    since: Timestamp,
    now: Timestamp,
) -> Option<Harm> {
    let probes = [(Field::LivenessProbe, "liveness"), (Field::StartupProbe, "startup")];
    for container in containers {
        for (field, probe) in probes {
            if !known.owned.contains_key(&ContainerField::new(container, field)) {
                continue;
            }
            let kills = known.events.iter().filter(|event| {
                event.reason == "Killing"
                    && event.note.to_lowercase().contains(&format!("failed {probe} probe"))
                    && event.is_about(container)
                    && event.name == pod.name
                    && event.is_since(since, now)
            });
            let (mut times, mut last) = (0, None);
            for event in kills {
                times += event.times_within_window(now);
                last = Some(event);
            }
            let Some(event) = last.filter(|_| times >= RESTARTS) else { continue };
            let message = format!(
                "pod {}, container {container}: its {probe} probe ended it {RESTARTS} times within an hour. If the \
                 server hung, the probe did its job; it is withdrawn all the same: {}",
                pod.name, event.note
            );
            let fields = probes_of(known, container);
            return Some(Harm { fields, reason: RemediationReason::ProbeRestarts, message });
        }
    }
    None
}

/// Returns the containers that exit by themselves while our probe connects to them, and not without it.
fn ended(pod: &PodSeen, containers: &BTreeSet<&str>, known: &Knowledge) -> Option<Harm> {
    let usual = known.usual_restarts? as usize;
    if usual >= RESTARTS || known.pods.iter().any(|other| other.excuses(pod)) {
        return None;
    }
    let container = containers.iter().find(|container| !probes_of(known, container).is_empty())?;
    let words = format!(
        "pod {}, container {container}: it ended {RESTARTS} times within an hour, and pods without these probes do not \
         ({usual} within an hour before the patch)",
        pod.name
    );
    // The release of another client was not there before the patch, so there is nothing to compare it with.
    let (reason, message) = if known.others_changed {
        let crashes = RemediationReason::CrashLoop;
        let message = format!("{crashes}, after another client changed the template too: {words}");
        (RemediationReason::ChangedMeanwhile, message)
    } else {
        (RemediationReason::CrashLoop, words)
    };
    Some(Harm { fields: probes_of(known, container), reason, message })
}

/// Returns the pods that our readiness or startup probe keeps from becoming ready.
///
/// The container that runs must be unready now: the kubelet makes it so for its probes alone. A probe that failed when
/// the container started is no evidence against it if the pod waits for another container or for a readiness gate.
fn unready(trouble: &Trouble, known: &Knowledge, now: Timestamp) -> Option<Harm> {
    // Pods on nodes that are not well are no evidence, but other pods are.
    let counts = |name: &str| trouble.pods.get(name).is_some_and(|node| known.steady.contains_key(node));
    let fails = |event: &EventSeen, of: &ContainerField| {
        let (probe, after_start) = match of.field {
            Field::ReadinessProbe => ("readiness", true),
            Field::StartupProbe => ("startup", false),
            _ => return false,
        };
        let pod = known.pods.iter().find(|pod| pod.name == event.name);
        let mut containers = pod.into_iter().flat_map(|pod| &pod.unready);
        event.reason == "Unhealthy"
            && event.note.to_lowercase().starts_with(&format!("{probe} probe failed"))
            && event.is_about(&of.container)
            && containers.any(|container| {
                container.name == of.container
                    && container.started == after_start
                    && now.duration_since(container.running) >= PASSING
            })
    };
    let recent =
        known.events.iter().filter(|event| counts(&event.name) && event.is_since(trouble.since, now));
    let mut failing = recent.filter_map(|event| {
        let of = known.owned.keys().find(|of| fails(event, of))?;
        Some((event, of))
    });
    let (event, of) = failing.next()?;
    let seconds = now.duration_since(trouble.since).as_secs();
    let message = format!(
        "pod {}, container {}: no pod of its revision is ready for {seconds} s: {}",
        event.name, of.container, event.note
    );
    Some(Harm { fields: probes_of(known, &of.container), reason: RemediationReason::NotReady, message })
}

/// Returns the pods that cannot be created because of our amounts.
fn refused(known: &Knowledge) -> Option<Harm> {
    let words = known.refusal.as_deref().into_iter();
    let created = known.events.iter().filter(|event| event.reason == "FailedCreate");
    words.chain(created.map(|event| event.note.as_str())).find_map(|words| {
        let fields = refused_fields(words, &known.owned);
        let (reason, message) = (RemediationReason::NotCreated, format!("its pods are not created: {words}"));
        (!fields.is_empty()).then_some(Harm { fields, reason, message })
    })
}

/// Returns the probes of a container that enforcement owns. They are withdrawn together, as they were set.
fn probes_of(known: &Knowledge, container: &str) -> BTreeSet<ContainerField> {
    let probes = known.owned.keys().filter(|of| of.container == container && of.field.is_probe());
    probes.cloned().collect()
}

impl PodSeen {
    /// Returns true if a container ran out of memory that has one of these memory limits.
    pub fn ran_out_of_memory(&self, limits: &BTreeSet<ContainerField>) -> bool {
        self.out_of_memory.iter().any(|end| limits.contains(&limit_of(&end.container)))
    }

    /// Returns true if this pod shows that the containers of a troubled pod end for another cause than our fields: it
    /// lacks them and restarts too, or it has had them for longer, in an earlier revision, and does not restart.
    fn excuses(&self, troubled: &Self) -> bool {
        let is_earlier = self.revision != troubled.revision
            && self.started.zip(troubled.started).is_some_and(|(own, other)| own < other);
        if self.patched {
            is_earlier && self.ready && self.restarts.is_empty()
        } else {
            !self.restarts.is_empty()
        }
    }
}

impl EventSeen {
    fn is_about(&self, container: &str) -> bool {
        self.field_path.strip_prefix("spec.containers{").and_then(|rest| rest.strip_suffix('}'))
            == Some(container)
    }

    /// Returns true if it last occurred during the trouble, within the last hour.
    fn is_since(&self, since: Timestamp, now: Timestamp) -> bool {
        let earliest = since.saturating_sub(EARLIER).unwrap_or(Timestamp::MIN);
        self.last.is_some_and(|last| last >= earliest.max(window(now)))
    }

    /// Returns true if it may have occurred within a minute of a time. Of several occurrences, only the first and the
    /// last have known times.
    fn is_around(&self, time: Timestamp) -> bool {
        let Some(last) = self.last else { return false };
        let first = self.first.unwrap_or(last);
        first.duration_since(time) <= EARLIER && time.duration_since(last) <= EARLIER
    }

    /// Returns the number of its occurrences that were certainly within the window. If the first was earlier, only the
    /// last has a known time.
    fn times_within_window(&self, now: Timestamp) -> usize {
        let earliest = window(now).saturating_sub(EARLIER).unwrap_or(Timestamp::MIN);
        if self.first.is_some_and(|first| first >= earliest) {
            usize::try_from(self.count).unwrap_or(usize::MAX).max(1)
        } else {
            usize::from(self.last.is_some_and(|last| last >= earliest))
        }
    }
}
