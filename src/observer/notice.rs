//! Reports changes of a namespace's score class: a log line on every replica, an event from the leader.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::Observer;
use crate::cluster::{CallError, Events};
use crate::governance::{Classification, Score};
use crate::leader::{Leadership, NotLeader};

/// The interval between comparisons of classes. A rollout that passes through several classes is reported as one
/// change.
const PERIOD: Duration = Duration::from_secs(1);

/// The last known class of each namespace.
#[derive(Debug, Default)]
pub struct Transitions {
    classes: BTreeMap<String, Classification>,
}

/// A change of a namespace's class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The namespace.
    pub namespace: String,
    /// The class before.
    pub from: Classification,
    /// The class now.
    pub to: Classification,
    /// The score now.
    pub score: Score,
}

impl Transitions {
    /// Updates the classes from the scores of all namespaces, sorted by name, and returns the changes.
    ///
    /// A new namespace is no change, and a deleted one is forgotten.
    pub fn update<'a>(&mut self, scores: impl Iterator<Item = (&'a str, Score)>) -> Vec<Transition> {
        let mut changed = Vec::new();
        let mut classes = BTreeMap::new();
        for (namespace, score) in scores {
            let to = score.classification();
            let (namespace, from) =
                self.classes.remove_entry(namespace).unwrap_or_else(|| (namespace.to_owned(), to));
            if from != to {
                changed.push(Transition { namespace: namespace.clone(), from, to, score });
            }
            classes.insert(namespace, to);
        }
        self.classes = classes;
        changed
    }
}

impl Transition {
    /// Returns the event that reports the change. Repeated events are grouped by action, so the note holds no number.
    fn event(&self) -> Event {
        let Self { namespace, from, to, .. } = self;
        let (type_, reason) = if to > from {
            (EventType::Normal, "HealthImproved")
        } else {
            (EventType::Warning, "HealthDropped")
        };
        Event {
            type_,
            reason: reason.to_owned(),
            note: Some(format!(
                "The namespace's health changed from {from} to {to}; details: kube-devops analyze -n {namespace}"
            )),
            action: format!("{from}To{to}"),
            secondary: None,
        }
    }

    /// Refers to the namespace, in that namespace, so that `kubectl get events -n` shows the event there.
    fn regarding(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Namespace".to_owned()),
            name: Some(self.namespace.clone()),
            namespace: Some(self.namespace.clone()),
            ..ObjectReference::default()
        }
    }
}

/// Logs every change of class, and records it as an event while this replica leads. Never returns.
pub async fn announce(observer: &Observer, leadership: &Leadership, events: &Events) {
    let mut transitions = Transitions::default();
    let mut untold = Vec::new();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let changed = observer
            .view(|view| if view.synced { transitions.update(view.board.scores()) } else { Vec::new() });
        for Transition { namespace, from, to, score } in &changed {
            info!(namespace, %from, %to, score = score.value(), "score class changed");
        }
        // The leader of that time reports the changes.
        if !leadership.is_leader() {
            untold.clear();
            continue;
        }
        for transition in changed {
            add(&mut untold, transition);
        }
        while let Some(transition) = untold.first() {
            if let Err(failure) = record(transition, leadership, events).await {
                warn!(namespace = transition.namespace, error = %failure, "event not recorded");
                // The API server can refuse the events of one namespace, for example while it is being deleted. Any
                // other failure holds up all events until the API server is back.
                if failure.code().is_none() {
                    break;
                }
            }
            untold.remove(0);
        }
    }
}

/// Adds a change to the unreported ones. Successive changes of a namespace are merged into one.
fn add(untold: &mut Vec<Transition>, change: Transition) {
    let known = untold.iter().position(|one| one.namespace == change.namespace);
    let from = known.map_or(change.from, |known| untold.remove(known).from);
    if from != change.to {
        untold.push(Transition { from, ..change });
    }
}

/// An error in recording an event.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    #[error(transparent)]
    Call(#[from] CallError),
}

impl RecordError {
    /// Returns the HTTP status of a refusal.
    fn code(&self) -> Option<u16> {
        match self {
            Self::NotLeader(_) => None,
            Self::Call(error) => error.code(),
        }
    }
}

async fn record(
    transition: &Transition,
    leadership: &Leadership,
    events: &Events,
) -> Result<(), RecordError> {
    let (event, about) = (transition.event(), transition.regarding());
    Ok(leadership.write(events.record(event, &about)).await??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governance::Tally;
    use crate::policy::EffectivePolicy;
    use crate::rules::{LATEST_TAG, place};

    /// A score of 100 minus 5 for each image with the `latest` tag.
    fn score(latest: u64) -> Score {
        let mut tally = Tally::of_pods(1);
        tally.set(place(LATEST_TAG.id), latest);
        Score::of(&tally, &EffectivePolicy::default())
    }

    fn update(transitions: &mut Transitions, scores: &[(&str, u64)]) -> Vec<String> {
        let changed = transitions.update(scores.iter().map(|(name, latest)| (*name, score(*latest))));
        changed.iter().map(|change| format!("{} {} {}", change.namespace, change.from, change.to)).collect()
    }

    #[test]
    fn only_a_different_class_is_a_change() {
        let mut transitions = Transitions::default();
        assert!(update(&mut transitions, &[("a", 0), ("b", 10)]).is_empty(), "both are new");
        assert!(update(&mut transitions, &[("a", 4), ("b", 10)]).is_empty(), "80 is Healthy as 100 is");
        assert_eq!(
            update(&mut transitions, &[("a", 5), ("b", 20)]),
            ["a Healthy Stable", "b Degraded Critical"]
        );
        assert!(update(&mut transitions, &[("b", 20)]).is_empty());
        assert!(update(&mut transitions, &[("a", 20), ("b", 20)]).is_empty(), "a came back as a new one");
    }

    #[test]
    fn unreported_changes_are_merged_and_dropped_if_they_cancel_out() {
        let (healthy, stable, critical) =
            (Classification::Healthy, Classification::Stable, Classification::Critical);
        let mut untold = Vec::new();
        for (namespace, from, to) in [
            ("shop", healthy, stable),
            ("bank", stable, healthy),
            ("shop", stable, critical),
            ("bank", healthy, stable),
        ] {
            add(&mut untold, Transition { namespace: namespace.to_owned(), from, to, score: score(9) });
        }
        let left: Vec<_> = untold.iter().map(|one| (one.namespace.as_str(), one.from, one.to)).collect();
        assert_eq!(left, [("shop", healthy, critical)]);
    }

    #[test]
    fn an_event_is_a_warning_if_health_dropped() {
        let change = |from, to| {
            let event = Transition { namespace: "shop".to_owned(), from, to, score: score(9) }.event();
            (event.type_, event.reason, event.action)
        };
        let (stable, critical) = (Classification::Stable, Classification::Critical);
        let text = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let (type_, reason, action) = change(stable, critical);
        assert_eq!(
            (type_, (reason, action)),
            (EventType::Warning, text("HealthDropped", "StableToCritical"))
        );
        let (type_, reason, action) = change(critical, stable);
        assert_eq!(
            (type_, (reason, action)),
            (EventType::Normal, text("HealthImproved", "CriticalToStable"))
        );
    }
}
