//! The settings of an election: the Lease, the identity and the times. No clock, no cluster.

use std::time::Duration;

/// The Lease to compete for, and the times to keep. [`Settings::new`] has the usual times.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace of the Lease.
    pub namespace: String,
    /// The name of the Lease.
    pub name: String,
    /// The value of `holderIdentity`. It is unique for each process, even for two processes of one pod.
    pub identity: String,
    /// Time that others wait after the last renewal they saw, in whole seconds: a Lease stores no fractions.
    pub lease_duration: Duration,
    /// Time that a holder leads after it sent its last successful renewal.
    pub renew_deadline: Duration,
    /// Pause of a holder between renewals, and of a standby between polls without a watch.
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

    /// Checks that the times leave room for one another. The error names the flag to change.
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

    /// Returns the time limit of one call: half the renew deadline, so that a hung call leaves time for another.
    pub(super) fn call_timeout(&self) -> Duration {
        self.renew_deadline / 2
    }

    /// Returns the time limit of a write, counted from the last renewal: half-way between the renew deadline and the
    /// end of the lease. The other half is for requests that are still on the wire.
    pub(super) fn write_deadline(&self) -> Duration {
        (self.renew_deadline + self.lease_duration) / 2
    }
}

/// An error in the times.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// The lease duration is zero, or not a whole number of seconds.
    #[error(
        "--lease-duration {lease_duration:?} is not a whole number of seconds from 1: give one, such as 15s"
    )]
    FractionalDuration {
        /// The given duration.
        lease_duration: Duration,
    },
    /// The retry period is zero.
    #[error("--lease-retry-period 0s would never pause: give a time such as 2s")]
    NoRetryPeriod,
    /// The holder would lead past the end of its lease.
    #[error(
        "--lease-renew-deadline {renew_deadline:?} must be shorter than --lease-duration {lease_duration:?}, or two \
         replicas could write at once: shorten the deadline or lengthen the lease"
    )]
    DeadlineTooLong {
        /// The given deadline.
        renew_deadline: Duration,
        /// The limit for the deadline.
        lease_duration: Duration,
    },
    /// One failed renewal would lose the lease.
    #[error(
        "--lease-retry-period {retry_period:?} times 1.2 must be shorter than --lease-renew-deadline \
         {renew_deadline:?}, or one failed renewal loses the lease: shorten the period or lengthen the deadline"
    )]
    RetryTooLong {
        /// The given period.
        retry_period: Duration,
        /// The limit for 1.2 times the period.
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
