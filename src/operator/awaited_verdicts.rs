//! The verdicts that are about to be written, for which the reconcile of a policy waits. Pure.
//!
//! A change of a policy changes the verdicts of its namespaces, too. Without the wait, the status would be written before
//! the verdicts, and again with them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// The longest wait for a verdict.
const LONGEST: SignedDuration = SignedDuration::from_secs(10);

/// The awaited verdicts, by namespace.
#[derive(Debug, Default)]
pub(super) struct AwaitedVerdicts(BTreeMap<String, Awaited>);

#[derive(Debug)]
struct Awaited {
    /// The end of the wait.
    until: Timestamp,
    /// True if a reconcile waits.
    is_asked: bool,
}

impl AwaitedVerdicts {
    /// Notes that the verdict of a namespace is due. The wait does not begin anew before its end.
    pub(super) fn begin(&mut self, namespace: &str, now: Timestamp) {
        let until = now.saturating_add(LONGEST).unwrap_or(Timestamp::MAX);
        let new = Awaited { until, is_asked: false };
        match self.0.get_mut(namespace) {
            Some(known) if known.until > now => {}
            Some(known) => *known = new,
            None => {
                self.0.insert(namespace.to_owned(), new);
            }
        }
    }

    /// Returns the time until which a reconcile waits for a verdict; `None` if it need not wait.
    pub(super) fn ask(&mut self, namespace: &str, now: Timestamp) -> Option<Timestamp> {
        let known = self.0.get_mut(namespace).filter(|known| known.until > now)?;
        known.is_asked = true;
        Some(known.until)
    }

    /// Ends the wait for a verdict. Returns true if a reconcile waits for it.
    pub(super) fn settle(&mut self, namespace: &str) -> bool {
        self.0.remove(namespace).is_some_and(|known| known.is_asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reconcile_waits_until_the_verdict_is_written_but_not_for_ever() {
        let mut awaited = AwaitedVerdicts::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(awaited.ask("shop", at(0)), None);
        awaited.begin("shop", at(0));
        awaited.begin("shop", at(5));
        assert!(!awaited.settle("shop"), "nobody waits");
        awaited.begin("shop", at(0));
        assert_eq!(awaited.ask("shop", at(9)), Some(at(10)));
        assert_eq!(awaited.ask("shop", at(10)), None);
        awaited.begin("shop", at(11));
        assert_eq!(awaited.ask("shop", at(11)), Some(at(21)));
        assert!(awaited.settle("shop"));
        assert_eq!(awaited.ask("shop", at(11)), None);
    }
}
