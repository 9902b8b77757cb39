//! The order in which suspicious trouble is looked into. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::trouble::{PodSeen, Trouble, TroubleKind};
use crate::workload::WorkloadRef;

/// The time for which the events of the same pod are read first. It is longer than the pause between two looks, so that
/// each suspect of a workload gets to see each pod.
const POD_TURN: SignedDuration = SignedDuration::from_mins(1);

/// Returns one suspect of each workload, and another one after each `pause`.
///
/// Several pods and sorts of trouble of a workload can be suspicious. Those without evidence must not keep the others from
/// being looked into.
pub fn in_turn<'s, T>(
    suspects: &'s [T],
    workload: impl Fn(&'s T) -> &'s WorkloadRef,
    pause: SignedDuration,
    now: Timestamp,
) -> Vec<&'s T> {
    let mut found: BTreeMap<&WorkloadRef, Vec<&T>> = BTreeMap::new();
    for suspect in suspects {
        found.entry(workload(suspect)).or_default().push(suspect);
    }
    let turn = usize::try_from(now.as_second() / pause.as_secs().max(1)).unwrap_or_default();
    found.into_values().filter_map(|suspects| suspects.get(turn % suspects.len()).copied()).collect()
}

/// Returns the names and nodes of the pods in trouble whose events may be evidence, in the order in which they are
/// looked at. Another pod comes first after each minute.
pub fn pods_in_turn<'t>(trouble: &'t Trouble, pods: &[PodSeen], now: Timestamp) -> Vec<(&'t str, &'t str)> {
    // No probe of ours keeps a pod from being ready if no container runs without being ready.
    let waits = |name: &str| pods.iter().any(|pod| pod.name == name && !pod.unready.is_empty());
    let all = trouble.pods.iter().map(|(name, node)| (name.as_str(), node.as_str()));
    let mut found: Vec<_> =
        all.filter(|(name, _)| trouble.kind != TroubleKind::Unready || waits(name)).collect();
    let turn = usize::try_from(now.as_second() / POD_TURN.as_secs()).unwrap_or_default();
    let first = turn.checked_rem(found.len()).unwrap_or_default();
    found.rotate_left(first);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_suspect_of_a_workload_has_its_turn() {
        let of = |workload: &str, suspect| (WorkloadRef::new("n", "Deployment", workload), suspect);
        let suspects = [of("a", 1), of("a", 2), of("b", 3), of("a", 4)];
        let looks = [0, 20, 40, 60].map(|second| {
            let now = Timestamp::from_second(second).unwrap();
            let found = in_turn(&suspects, |(workload, _)| workload, SignedDuration::from_secs(20), now);
            found.into_iter().map(|(_, suspect)| *suspect).collect::<Vec<_>>()
        });
        assert_eq!(looks, [[1, 3], [2, 3], [4, 3], [1, 3]]);
    }
}
