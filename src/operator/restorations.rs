//! The pauses between restorations of what another client changes again and again. Pure.

use jiff::{SignedDuration, Timestamp};

/// The pause after the first restoration. It doubles with each.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(1);
/// The longest pause between two restorations.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// The time without a restoration after which the pause is short again.
pub(super) const QUIET: SignedDuration = SignedDuration::from_mins(10);

/// The restorations of one object.
#[derive(Debug, Clone, Default)]
pub(super) struct Restorations {
    in_a_row: u32,
    last: Option<Timestamp>,
}

impl Restorations {
    /// Returns the earliest time of the next restoration.
    pub(super) fn next(&self) -> Timestamp {
        let Some(last) = self.last else { return Timestamp::MIN };
        let pause = FIRST_PAUSE
            .saturating_mul(1_i32.checked_shl(self.in_a_row.saturating_sub(1)).unwrap_or(i32::MAX));
        last.saturating_add(pause.min(LONGEST_PAUSE)).unwrap_or(Timestamp::MAX)
    }

    /// Notes a restoration.
    pub(super) fn note(&mut self, now: Timestamp) {
        let is_quiet = self.last.is_none_or(|last| now.duration_since(last) > QUIET);
        self.in_a_row = if is_quiet { 1 } else { (self.in_a_row + 1).min(20) };
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_restorations_doubles_up_to_five_minutes_and_ends_with_quiet() {
        let mut restorations = Restorations::default();
        let mut now = Timestamp::UNIX_EPOCH;
        assert!(restorations.next() < now);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            restorations.note(now);
            pauses.push(restorations.next().duration_since(now).as_secs());
            now = restorations.next();
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        restorations.note(now + QUIET + SignedDuration::from_secs(1));
        assert_eq!(restorations.next().duration_since(now).as_secs(), 602);
    }
}
