//! The rules of the election, pure: what a replica saw of the Lease, when, and what it may do about it.
//! Knows no API and reads no clock: every instant is an argument.

use super::Settings;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use std::time::Duration;
use tokio::time::Instant;

/// One replica's view of the Lease.
#[derive(Debug)]
pub(super) struct Candidate {
    settings: Settings,
    seen: Option<Seen>,
    /// When the last successful claim was sent; set for as long as this replica is, or was, the leader.
    claimed: Option<Instant>,
}

#[derive(Debug)]
struct Seen {
    lease: Lease,
    /// When this replica first saw the Lease in this version.
    since: Instant,
    /// False once the Lease was deleted: what it promised its holder still counts.
    exists: bool,
}

/// Where a replica stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It leads, until this instant unless it renews.
    Leads { until: Instant },
    /// It led, and the renew deadline has passed.
    Late,
    /// It led, and another holds the Lease now.
    Ousted { by: String },
    /// Another leads, until this instant unless it renews.
    Held { until: Instant },
    /// Nobody leads: the Lease may be claimed.
    Vacant,
}

impl Candidate {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, seen: None, claimed: None }
    }

    /// Takes in the Lease as it is on the server (none if there is none); true if it changed since it was last seen.
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

    pub(super) fn standing(&self, now: Instant) -> Standing {
        let holder = self.holder().filter(|holder| *holder != self.settings.identity);
        match (self.claimed, holder, &self.seen) {
            (Some(claimed), ..) if now >= claimed + self.settings.renew_deadline => Standing::Late,
            (Some(_), Some(holder), _) => Standing::Ousted { by: holder.to_owned() },
            (Some(claimed), None, _) => Standing::Leads { until: claimed + self.settings.renew_deadline },
            (None, Some(_), Some(seen)) if now < seen.since + self.promised(&seen.lease) => {
                Standing::Held { until: seen.since + self.promised(&seen.lease) }
            }
            (None, ..) => Standing::Vacant,
        }
    }

    /// Returns the Lease to write for holding it: the one seen, with its resourceVersion, or a new one.
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

    /// Takes in that the claim sent at `sent` succeeded, unless that is known too late to lead on it.
    pub(super) fn claimed(&mut self, lease: Lease, sent: Instant, now: Instant) {
        self.observe(Some(lease), now);
        let last = self.claimed.unwrap_or(sent);
        if now < last + self.settings.renew_deadline {
            self.claimed = Some(sent);
        }
    }

    /// Returns the Lease to write for giving it up; none when this replica doesn't hold it.
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

    /// Returns the holder last seen; an empty one is none.
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

    /// Returns how long the Lease is its holder's: what it says, or our own duration where it says nothing sensible.
    fn promised(&self, lease: &Lease) -> Duration {
        let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        seconds.map_or(self.settings.lease_duration, Duration::from_secs)
    }
}

/// Returns what differs after every write, whoever's clock is wrong: the record's own times might not.
fn version(lease: &Lease) -> (Option<&str>, Option<&str>) {
    (lease.metadata.uid.as_deref(), lease.metadata.resource_version.as_deref())
}

#[cfg(test)]
mod tests;
