//! The order in which namespaces get the places among the cluster's rollouts. Pure.
//!
//! The namespace that had a place most recently comes last, so that a busy namespace does not hold up others.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// Time after its last request for which a namespace counts as waiting. A waiting namespace asks more often.
const PRESENT: SignedDuration = SignedDuration::from_secs(40);

/// The namespaces that wait for a place.
#[derive(Debug, Default)]
pub struct Fairness {
    waiting: BTreeMap<String, Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    since: Timestamp,
    asked: Timestamp,
}

impl Fairness {
    /// Records that a namespace asks for one of the free places. Returns true if it is its turn, because fewer
    /// namespaces than places come before it.
    pub fn ask(
        &mut self,
        namespace: &str,
        free: usize,
        last_grant: impl Fn(&str) -> Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        self.waiting.retain(|_, waiting| now.duration_since(waiting.asked) <= PRESENT);
        let own = self.waiting.entry(namespace.to_owned()).or_insert(Waiting { since: now, asked: now });
        own.asked = now;
        let own = (last_grant(namespace), own.since);
        let earlier = self.waiting.iter().filter(|(other, waiting)| {
            let other = other.as_str();
            (last_grant(other), waiting.since, other) < (own.0, own.1, namespace)
        });
        earlier.count() < free
    }

    /// Records that a namespace no longer waits.
    pub fn leave(&mut self, namespace: &str) {
        self.waiting.remove(namespace);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn the_namespace_with_the_most_recent_place_comes_last() {
        let last = |namespace: &str| (namespace == "busy").then(|| at(0));
        let mut fairness = Fairness::default();
        assert!(fairness.ask("busy", 1, last, at(1)), "nobody else waits");
        assert!(fairness.ask("new", 1, last, at(2)));
        assert!(!fairness.ask("busy", 1, last, at(3)), "it had a place, and new has not");
        assert!(fairness.ask("busy", 2, last, at(3)), "there is room for both");
        fairness.leave("new");
        assert!(fairness.ask("busy", 1, last, at(4)));
        assert!(!fairness.ask("busy", 0, last, at(4)));
    }

    #[test]
    fn a_namespace_that_stopped_asking_does_not_block_others() {
        let last = |namespace: &str| (namespace == "busy").then(|| at(0));
        let mut fairness = Fairness::default();
        fairness.ask("new", 1, last, at(0));
        assert!(!fairness.ask("busy", 1, last, at(40)));
        assert!(fairness.ask("busy", 1, last, at(41)));
    }

    proptest! {
        #[test]
        fn every_namespace_that_waits_gets_a_place_before_any_gets_a_third(
            order in prop::collection::vec(0..6_usize, 60..120),
        ) {
            let mut fairness = Fairness::default();
            let mut grants: [Vec<Timestamp>; 6] = Default::default();
            for (index, namespace) in order.iter().enumerate() {
                let now = at(i64::try_from(index).unwrap());
                // All of them ask all the time, in some order.
                let mut free = 1;
                for other in (0..6).map(|other| (other + namespace) % 6) {
                    let last = |name: &str| grants[name.parse::<usize>().unwrap()].last().copied();
                    if fairness.ask(&other.to_string(), free, last, now) {
                        grants[other].push(now);
                        fairness.leave(&other.to_string());
                        free = 0;
                    }
                }
            }
            let counts = grants.map(|times| times.len());
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 2, "{counts:?}");
        }
    }
}
