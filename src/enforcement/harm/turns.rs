//! The order in which suspicious trouble is looked into. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::workload::WorkloadRef;

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
