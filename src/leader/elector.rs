//! The campaign: makes the calls that the rules require, when they are due. It does not know what the leader writes.

use super::leadership::{Keeper, Leadership};
use super::settings::{Settings, SettingsError};
use super::state::{ElectionState, LeaseView};
use futures::stream::{BoxStream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams, WatchEvent, WatchParams};
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::{debug, info, warn};

/// Maximum random delay before a standby takes an expired lease, so that standbys do not all ask at once.
const EXPIRY_JITTER: Duration = Duration::from_millis(500);
/// Time limit at shutdown, first for running writes, then for the calls that release the lease.
const RELEASE_PATIENCE: Duration = Duration::from_millis(1_500);
/// Interval at which the log repeats a failure that lasts.
const REMINDER: Duration = Duration::from_mins(1);

type Events = BoxStream<'static, kube::Result<WatchEvent<Lease>>>;

/// Campaigns for a Lease and keeps it.
pub struct Elector {
    leases: Api<Lease>,
    settings: Settings,
    lease_view: LeaseView,
    keeper: Keeper,
    events: Option<Events>,
    /// True while the result of a claim is unknown: the server may have stored it, or may store it later.
    unsure: bool,
    /// The number of failed attempts in a row.
    failures: u32,
    /// The error of the last failed attempt.
    failure: Option<LeaseCallError>,
    /// The last failure that was logged, and the time of that log line.
    told: Option<(String, Instant)>,
    /// The leader that the log named last.
    leader: Option<String>,
}

/// An error of a call for the Lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseCallError {
    /// No answer came within half the renew deadline, or within the rest of it.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The API server refused the call, or could not be reached.
    #[error("{}", words(.0))]
    Api(kube::Error),
}

impl From<kube::Error> for LeaseCallError {
    fn from(error: kube::Error) -> Self {
        Self::Api(error)
    }
}

/// Returns the API server's own message, or else the root cause: the layers above it add nothing.
fn words(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.clone();
    }
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

/// The lease was lost. The process must end, because it cannot know what another leader writes.
#[derive(Debug, thiserror::Error)]
pub enum LostLease {
    /// No renewal succeeded in time.
    #[error(
        "lease {lease} lost: not renewed within {deadline:?}; is the API server reachable and this process running?"
    )]
    Late {
        /// The Lease, as namespace/name.
        lease: String,
        /// The renew deadline.
        deadline: Duration,
        /// The error of the last renewal, if it failed.
        source: Option<LeaseCallError>,
    },
    /// Another replica holds it.
    #[error("lease {lease} lost: {holder} holds it now")]
    Ousted {
        /// The Lease, as namespace/name.
        lease: String,
        /// The holder's identity.
        holder: String,
    },
}

impl LostLease {
    /// Returns a bounded label for metrics and events.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::Late { .. } => "renew_deadline",
            Self::Ousted { .. } => "ousted",
        }
    }
}

impl Elector {
    /// Makes an elector, and the leadership that it keeps up to date while it runs.
    ///
    /// The client must not retry (`Config::default_retry = false`): its retries would use up the time in which the
    /// elector finds out who leads.
    pub fn new(client: kube::Client, settings: Settings) -> Result<(Self, Leadership), SettingsError> {
        settings.validate()?;
        let (keeper, leadership) = Keeper::new();
        let leases = Api::namespaced(client, &settings.namespace);
        let lease_view = LeaseView::new(settings.clone());
        let elector = Self {
            leases,
            settings,
            lease_view,
            keeper,
            events: None,
            unsure: false,
            failures: 0,
            failure: None,
            told: None,
            leader: None,
        };
        Ok((elector, leadership))
    }

    /// Campaigns until the shutdown, which releases the lease, or until the lease is lost.
    ///
    /// At shutdown no new write starts. Running writes get 1.5 s, then the release gets 1.5 s. If a write had to be cut
    /// off, the lease is left to expire, because that write might still arrive.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), LostLease> {
        let lost = tokio::select! {
            lost = self.campaign() => Some(lost),
            () = shutdown => None,
        };
        let Some(lost) = lost else {
            let drained = timeout(RELEASE_PATIENCE, self.keeper.drain()).await.is_ok();
            self.keeper.end();
            if !drained {
                warn!(
                    lease = self.lease(),
                    "not released: a write was cut off, so the lease is left to expire"
                );
            } else if let Err(error) = self.release().await {
                warn!(lease = self.lease(), %error, "not released: the lease is left to expire");
            }
            return Ok(());
        };
        self.keeper.end();
        Err(lost)
    }

    async fn campaign(&mut self) -> LostLease {
        loop {
            let started = Instant::now();
            match self.attempt().await {
                // It is too late for another call; the previous one is to blame.
                Ok(()) if self.lease_view.state(Instant::now()) == ElectionState::Late => {}
                Ok(()) => (self.failures, self.failure, self.told) = (0, None, None),
                Err(error) => {
                    self.tell(&error);
                    (self.failures, self.failure) = (self.failures.saturating_add(1), Some(error));
                }
            }
            match self.lease_view.state(Instant::now()) {
                ElectionState::Leads { until } => {
                    sleep_until(until.min(started + self.settings.retry_period)).await;
                }
                ElectionState::Late => {
                    let (lease, deadline) = (self.lease(), self.settings.renew_deadline);
                    return LostLease::Late { lease, deadline, source: self.failure.take() };
                }
                ElectionState::Ousted { by: holder } => {
                    return LostLease::Ousted { lease: self.lease(), holder };
                }
                ElectionState::Held { until } if self.failure.is_none() => {
                    self.tell_leader();
                    self.stand_by(until).await;
                    // A replica asks at most once in half a retry period, even if the lease changes hands more often.
                    sleep_until(started + self.settings.retry_period / 2).await;
                }
                ElectionState::Held { .. } | ElectionState::Vacant => sleep(self.pause()).await,
            }
        }
    }

    /// Claims the Lease if the rules allow it. A leader relies on its last write, and reads only after that fails.
    async fn attempt(&mut self) -> Result<(), LeaseCallError> {
        let mut fresh = match self.lease_view.state(Instant::now()) {
            ElectionState::Leads { .. } => !self.unsure,
            ElectionState::Late | ElectionState::Ousted { .. } => return Ok(()),
            ElectionState::Held { .. } | ElectionState::Vacant => false,
        };
        loop {
            if !fresh {
                self.read().await?;
            }
            match self.lease_view.state(Instant::now()) {
                ElectionState::Leads { .. } | ElectionState::Vacant => {}
                ElectionState::Late | ElectionState::Ousted { .. } | ElectionState::Held { .. } => {
                    return Ok(());
                }
            }
            match self.claim().await {
                // Our own renewal succeeded after all, or another client edited the Lease. A read shows which.
                Err(LeaseCallError::Api(error)) if fresh && is_stale(&error) => fresh = false,
                // Another replica was faster.
                Err(LeaseCallError::Api(kube::Error::Api(status))) if status.code == 409 => return Ok(()),
                outcome => return outcome,
            }
        }
    }

    async fn read(&mut self) -> Result<(), LeaseCallError> {
        let lease = call(self.call_deadline(), self.leases.get_opt(&self.settings.name)).await?;
        if self.lease_view.observe(lease, Instant::now()) {
            // The watch missed this change, so it is opened again.
            self.events = None;
        }
        self.unsure = false;
        Ok(())
    }

    async fn claim(&mut self) -> Result<(), LeaseCallError> {
        let lease = self.lease_view.claim(wall());
        self.unsure = true;
        // The time before the request: other replicas see this renewal later, and count from then.
        let sent = Instant::now();
        let outcome = call(self.call_deadline(), put(&self.leases, &lease)).await;
        self.unsure = !matches!(&outcome, Ok(_) | Err(LeaseCallError::Api(kube::Error::Api(_))));
        let led = self.leads();
        self.lease_view.claimed(outcome?, sent, Instant::now());
        if let ElectionState::Leads { until } = self.lease_view.state(Instant::now()) {
            self.keeper.hold(until, sent + self.settings.write_deadline());
            self.events = None;
            if !led {
                info!(lease = self.lease(), identity = self.settings.identity, "leading");
                self.leader = Some(self.settings.identity.clone());
            }
        }
        Ok(())
    }

    async fn release(&mut self) -> Result<(), LeaseCallError> {
        let give_up = async {
            if self.unsure {
                self.read().await?;
            }
            while let Some(lease) = self.lease_view.release(wall()) {
                match put(&self.leases, &lease).await {
                    Ok(_) => {
                        info!(lease = self.lease(), "released");
                        break;
                    }
                    Err(error) if is_stale(&error) => self.read().await?,
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        };
        timeout(RELEASE_PATIENCE, give_up).await.unwrap_or(Err(LeaseCallError::Timeout(RELEASE_PATIENCE)))
    }

    /// Waits until the lease may be vacant, or until the next poll if there is no watch.
    async fn stand_by(&mut self, mut until: Instant) {
        // Drawn once: a new delay after each renewal would only be less predictable.
        let jitter = EXPIRY_JITTER.mul_f64(fastrand::f64());
        let Some(mut events) = self.watch(until).await else {
            return sleep_until((until + jitter).min(Instant::now() + self.pause())).await;
        };
        loop {
            let lease = match timeout_at(until + jitter, events.next()).await {
                Err(_expired) => break,
                Ok(Some(Ok(WatchEvent::Added(lease) | WatchEvent::Modified(lease)))) => Some(lease),
                Ok(Some(Ok(WatchEvent::Deleted(_)))) => None,
                Ok(Some(Ok(WatchEvent::Bookmark(_)))) => continue,
                Ok(ended) => {
                    debug!(lease = self.lease(), ?ended, "watch ended");
                    return sleep_until((until + jitter).min(Instant::now() + self.pause())).await;
                }
            };
            self.lease_view.observe(lease, Instant::now());
            match self.lease_view.state(Instant::now()) {
                ElectionState::Held { until: later } => until = later,
                _ => break,
            }
        }
        self.events = Some(events);
    }

    /// Returns the open watch, or opens one within the time of a call.
    ///
    /// A watch from resourceVersion 0 starts with the Lease from the API server's cache. It needs no list, and no
    /// version can be too old. A stale start is harmless, because claims carry their resourceVersion.
    async fn watch(&mut self, until: Instant) -> Option<Events> {
        if let Some(events) = self.events.take() {
            return Some(events);
        }
        let params = WatchParams::default().fields(&format!("metadata.name={}", self.settings.name));
        let by = until.min(Instant::now() + self.settings.call_timeout());
        match timeout_at(by, self.leases.watch(&params, "0")).await {
            Ok(Ok(events)) => Some(events.boxed()),
            failed => {
                debug!(lease = self.lease(), error = ?failed.err(), "no watch, polling");
                None
            }
        }
    }

    /// Logs a failure, and repeats the same one after a minute.
    fn tell(&mut self, error: &LeaseCallError) {
        let (words, now) = (error.to_string(), Instant::now());
        if self.told.as_ref().is_some_and(|(last, at)| *last == words && now - *at < REMINDER) {
            return;
        }
        warn!(lease = self.lease(), error = words, "lease call failed");
        self.told = Some((words, now));
    }

    /// Logs the leader that this replica stands by for, once per leader.
    fn tell_leader(&mut self) {
        let leader = self.lease_view.holder();
        if leader != self.leader.as_deref() {
            info!(lease = self.lease(), leader, "standing by");
            self.leader = leader.map(str::to_owned);
        }
    }

    /// Returns the deadline of a call that starts now. A leader's call ends by its renew deadline.
    fn call_deadline(&self) -> Instant {
        let limit = Instant::now() + self.settings.call_timeout();
        match self.lease_view.state(Instant::now()) {
            ElectionState::Leads { until } => until.min(limit),
            _ => limit,
        }
    }

    /// Returns the pause before the next poll: one retry period, up to four after failures, plus up to half as jitter.
    fn pause(&self) -> Duration {
        let doubled = self.settings.retry_period * (1 << self.failures.saturating_sub(1).min(2));
        doubled.mul_f64(1.0 + fastrand::f64() / 2.0)
    }

    fn leads(&self) -> bool {
        matches!(self.lease_view.state(Instant::now()), ElectionState::Leads { .. })
    }

    fn lease(&self) -> String {
        format!("{}/{}", self.settings.namespace, self.settings.name)
    }
}

async fn put(leases: &Api<Lease>, lease: &Lease) -> kube::Result<Lease> {
    let (params, name) = (PostParams::default(), lease.metadata.name.as_deref().unwrap_or_default());
    match lease.metadata.resource_version {
        Some(_) => leases.replace(name, &params, lease).await,
        None => leases.create(&params, lease).await,
    }
}

async fn call<T>(
    deadline: Instant,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, LeaseCallError> {
    let limit = deadline.saturating_duration_since(Instant::now());
    Ok(timeout_at(deadline, call).await.map_err(|_| LeaseCallError::Timeout(limit))??)
}

/// Returns true if a write failed because the object has changed or is gone.
fn is_stale(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 404 | 409))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the shell around the rules; this time is only for people to read"
)]
fn wall() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests;
