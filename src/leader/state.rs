//! The rules of the election as a pure state machine over the Lease that a replica saw. No API, no clock: every instant
//! is an argument.

use super::Settings;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use std::time::Duration;
use tokio::time::Instant;

/// One replica's view of the Lease.
#[derive(Debug)]
pub(super) struct LeaseView {
    settings: Settings,
    seen: Option<Seen>,
    /// Time at which the last successful claim was sent; set while this replica leads, and after it led.
    claimed: Option<Instant>,
}

#[derive(Debug)]
struct Seen {
    lease: Lease,
    /// Time at which this replica first saw this version of the Lease.
    since: Instant,
    /// False after the Lease was deleted. Its promise to the holder still counts.
    exists: bool,
}

/// A replica's place in the election.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ElectionState {
    /// It leads, until this instant unless it renews.
    Leads { until: Instant },
    /// It led, but the renew deadline has passed.
    Late,
    /// It led, but another replica holds the Lease now.
    Ousted { by: String },
    /// Another replica leads, until this instant unless it renews.
    Held { until: Instant },
    /// No replica leads, and the Lease may be claimed.
    Vacant,
}

impl LeaseView {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, seen: None, claimed: None }
    }

    /// Takes in the server's Lease, or its absence. Returns true if it changed.
    pub(super) fn observe(&mut self, lease: Option<Lease>, now: Instant) -> bool {
        match (lease, &mut self.seen) {
            (Some(lease), Some(seen)) if version(&seen.lease) == version(&lease) && seen.exists => false,
            (Some(lease), seen) => {
                *seen = Some(Seen { lease, since: now, exists: true });
                true
            }
            (None, Some(seen)) => std::mem::replace(&mut seen.exists, false),
            (None, None) => false,
        }
    }

    pub(super) fn state(&self, now: Instant) -> ElectionState {
        let holder = self.holder().filter(|holder| *holder != self.settings.identity);
        match (self.claimed, holder, &self.seen) {
            (Some(claimed), ..) if now >= claimed + self.settings.renew_deadline => ElectionState::Late,
            (Some(_), Some(holder), _) => ElectionState::Ousted { by: holder.to_owned() },
            (Some(claimed), None, _) => {
                ElectionState::Leads { until: claimed + self.settings.renew_deadline }
            }
            (None, Some(_), Some(seen)) if now < seen.since + self.promised(&seen.lease) => {
                ElectionState::Held { until: seen.since + self.promised(&seen.lease) }
            }
            (None, ..) => ElectionState::Vacant,
        }
    }

    /// Returns the Lease to write for a claim: the one seen, with its resourceVersion, or a new one.
    pub(super) fn claim(&self, wall: Timestamp) -> Lease {
        let before = self.seen.as_ref().and_then(|seen| seen.lease.spec.as_ref());
        let ours = self.holder() == Some(&self.settings.identity);
        let acquired = before.filter(|_| ours).and_then(|spec| spec.acquire_time.clone());
        let transitions =
            before.map(|spec| spec.lease_transitions.unwrap_or(0).saturating_add(i32::from(!ours)));
        self.lease(LeaseSpec {
            holder_identity: Some(self.settings.identity.clone()),
            lease_duration_seconds: i32::try_from(self.settings.lease_duration.as_secs()).ok(),
            acquire_time: acquired.or(Some(MicroTime(wall))),
            renew_time: Some(MicroTime(wall)),
            lease_transitions: Some(transitions.unwrap_or(0)),
            ..before.cloned().unwrap_or_default()
        })
    }

    /// Takes in that the claim sent at `sent` succeeded. It does not count if the deadline has passed by now.
    pub(super) fn claimed(&mut self, lease: Lease, sent: Instant, now: Instant) {
        self.observe(Some(lease), now);
        let last = self.claimed.unwrap_or(sent);
        if now < last + self.settings.renew_deadline {
            self.claimed = Some(sent);
        }
    }

    /// Returns the Lease to write for a release; none if this replica does not hold it.
    pub(super) fn release(&self, wall: Timestamp) -> Option<Lease> {
        let seen = self.seen.as_ref().filter(|seen| seen.exists)?;
        (self.holder() == Some(&self.settings.identity)).then(|| {
            self.lease(LeaseSpec {
                holder_identity: Some(String::new()),
                lease_duration_seconds: Some(1),
                acquire_time: Some(MicroTime(wall)),
                renew_time: Some(MicroTime(wall)),
                ..seen.lease.spec.clone().unwrap_or_default()
            })
        })
    }

    /// Returns the last known holder. An empty name means none.
    pub(super) fn holder(&self) -> Option<&str> {
        let spec = self.seen.as_ref()?.lease.spec.as_ref()?;
        spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())
    }

    fn lease(&self, spec: LeaseSpec) -> Lease {
        let metadata = match &self.seen {
            Some(seen) if seen.exists => seen.lease.metadata.clone(),
            _ => ObjectMeta {
                name: Some(self.settings.name.clone()),
                namespace: Some(self.settings.namespace.clone()),
                ..ObjectMeta::default()
            },
        };
        Lease { metadata, spec: Some(spec) }
    }

    /// Returns the duration in the Lease, or our own if that is missing or not positive.
    fn promised(&self, lease: &Lease) -> Duration {
        let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        seconds.map_or(self.settings.lease_duration, Duration::from_secs)
    }
}

/// Returns the two fields that change with every write, even if a clock is wrong. The Lease's own times might not.
fn version(lease: &Lease) -> (Option<&str>, Option<&str>) {
    (lease.metadata.uid.as_deref(), lease.metadata.resource_version.as_deref())
}

#[cfg(test)]
mod tests;
