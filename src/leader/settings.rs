//! What an election is told: which Lease, who asks, and how long everything takes. Knows no clock and no cluster.

use std::time::Duration;

/// The Lease to compete for and the times to keep; [`Settings::new`] gives the usual ones.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace of the Lease.
    pub namespace: String,
    /// The name of the Lease.
    pub name: String,
    /// What is written as `holderIdentity`: unique for each process, also for two of the same pod.
    pub identity: String,
    /// How long others wait after the last renewal they saw, in whole seconds: a Lease counts no fractions.
    pub lease_duration: Duration,
    /// How long after its last successful renewal was sent a holder goes on leading.
    pub renew_deadline: Duration,
    /// How long a holder waits between renewals, and a standby between polls while it has no watch.
    pub retry_period: Duration,
}

impl Settings {
    /// Returns settings of 15 s, 10 s and 2 s, with an identity of the pod's name and a random suffix.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, pod: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: format!("{pod}_{:016x}", fastrand::u64(..)),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }

    /// Checks that the times leave room for one another, the error naming the flag to change.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let Self { lease_duration, renew_deadline, retry_period, .. } = *self;
        if lease_duration.subsec_nanos() != 0 || !(1..=i32::MAX as u64).contains(&lease_duration.as_secs()) {
            return Err(SettingsError::FractionalDuration { lease_duration });
        }
        if retry_period.is_zero() {
            return Err(SettingsError::NoRetryPeriod);
        }
        if renew_deadline >= lease_duration {
            return Err(SettingsError::DeadlineTooLong { renew_deadline, lease_duration });
        }
        if renew_deadline <= retry_period.saturating_mul(6) / 5 {
            return Err(SettingsError::RetryTooLong { retry_period, renew_deadline });
        }
        Ok(())
    }

    /// Returns how long a single call may take: half the renew deadline, so that a hung one leaves time for another.
    pub(super) fn call_timeout(&self) -> Duration {
        self.renew_deadline / 2
    }

    /// Returns how long after the last renewal was sent a write must be over: half-way between the renew deadline and
    /// the end of the lease, the other half being for what is still on the wire.
    pub(super) fn write_deadline(&self) -> Duration {
        (self.renew_deadline + self.lease_duration) / 2
    }
}

/// Times that can't work together.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// The lease duration is not a whole number of seconds, or none at all.
    #[error(
        "--lease-duration {lease_duration:?} is not a whole number of seconds from 1: give one, such as 15s"
    )]
    FractionalDuration {
        /// What was given.
        lease_duration: Duration,
    },
    /// The retry period is zero.
    #[error("--lease-retry-period 0s would never pause: give a time such as 2s")]
    NoRetryPeriod,
    /// The holder would go on past the end of its lease.
    #[error(
        "--lease-renew-deadline {renew_deadline:?} must be shorter than --lease-duration {lease_duration:?}, or two \
         replicas could write at once: shorten the deadline or lengthen the lease"
    )]
    DeadlineTooLong {
        /// What was given.
        renew_deadline: Duration,
        /// What it must stay below.
        lease_duration: Duration,
    },
    /// A single failed renewal would lose the lease.
    #[error(
        "--lease-retry-period {retry_period:?} times 1.2 must be shorter than --lease-renew-deadline \
         {renew_deadline:?}, or one failed renewal loses the lease: shorten the period or lengthen the deadline"
    )]
    RetryTooLong {
        /// What was given.
        retry_period: Duration,
        /// What 1.2 times it must stay below.
        renew_deadline: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(duration: u64, deadline: u64, retry: u64) -> Result<(), String> {
        let millis = Duration::from_millis;
        let (lease_duration, renew_deadline, retry_period) =
            (millis(duration), millis(deadline), millis(retry));
        Settings { lease_duration, renew_deadline, retry_period, ..Settings::new("ns", "lease", "pod") }
            .validate()
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_usual_times_and_fractions_of_a_second_are_accepted() {
        assert_eq!(check(15_000, 10_000, 2_000), Ok(()));
        assert_eq!(check(1_000, 600, 100), Ok(()));
    }

    #[test]
    fn times_that_cannot_work_together_name_the_flag_to_change() {
        for (times, flag) in [
            ((1_500, 1_000, 200), "--lease-duration 1.5s"),
            ((0, 1_000, 200), "--lease-duration 0ns"),
            ((15_000, 15_000, 2_000), "--lease-renew-deadline 15s must be shorter"),
            ((15_000, 10_000, 8_400), "--lease-retry-period 8.4s times 1.2"),
            ((15_000, 10_000, 0), "--lease-retry-period 0s"),
        ] {
            let error = check(times.0, times.1, times.2).unwrap_err();
            assert!(error.starts_with(flag), "{error}");
        }
    }

    #[test]
    fn two_processes_of_one_pod_have_different_identities() {
        let [one, other] = [(); 2].map(|()| Settings::new("ns", "lease", "pod-0").identity);
        assert!(one.starts_with("pod-0_") && one != other);
    }
}
