//! The tasks of native admission: they write the verdicts that are due, and check that the admission policies are
//! installed.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::warn;

use super::Operator;
use super::native_admission::{NativeAdmission, Synced, today};
use crate::admission::native_installation;
use crate::cluster::CallError;
use crate::leader::NotLeader;

/// The number of Namespaces that are written at a time.
const CONCURRENT: usize = 8;
/// The pause after a failed write.
const RETRY: Duration = Duration::from_secs(5);
/// The time limit for one Namespace.
const SYNC: Duration = Duration::from_secs(10);
/// The interval of the looks at the admission policies.
const LOOK: Duration = Duration::from_mins(1);
/// The longest pause between two passes.
const LONGEST: Duration = Duration::from_mins(10);

/// Writes the verdicts that are due, while this replica leads. Never returns.
pub(super) async fn keep_verdicts(operator: &Operator, native: &NativeAdmission) -> Infallible {
    operator.policies.wait_until_listed().await;
    let mut leadership = operator.leadership.clone();
    loop {
        leadership.acquired().await;
        native.wake_all();
        let mut written = today(operator.now());
        let mut queue = DueQueue::default();
        let mut running = FuturesUnordered::new();
        while leadership.is_leader() {
            // Verdicts have a date.
            let day = today(operator.now());
            if std::mem::replace(&mut written, day) != day {
                native.wake_all();
            }
            queue.add(native.take_due());
            while let Some(name) = queue.begin(Instant::now()) {
                running.push(async move {
                    let pause = write_one(operator, native, &name).await;
                    (name, pause)
                });
            }
            let midnight = day.tomorrow().and_then(|next| next.to_zoned(TimeZone::UTC));
            let midnight = midnight.map_or(LONGEST, |midnight| until(midnight.timestamp(), operator.now()));
            let now = Instant::now();
            let next = queue.next().unwrap_or(now + LONGEST).min(now + midnight.min(LONGEST));
            tokio::select! {
                Some((name, pause)) = running.next() => {
                    queue.end(name, pause.map(|pause| Instant::now() + pause));
                }
                () = native.woken.notified() => {}
                () = sleep_until(next) => {}
                _ = leadership.changed() => {}
            }
        }
    }
}

/// The Namespaces that are due, those that are written, and those that become due later.
#[derive(Debug, Default)]
struct DueQueue {
    due: BTreeSet<String>,
    running: BTreeSet<String>,
    later: BTreeMap<String, Instant>,
}

impl DueQueue {
    /// Makes Namespaces due.
    fn add(&mut self, names: BTreeSet<String>) {
        self.due.extend(names);
    }

    /// Takes a Namespace that is due and is not being written, unless too many are. One that becomes due while it is
    /// written stays due.
    fn begin(&mut self, now: Instant) -> Option<String> {
        let matured = self.later.extract_if(.., |_, at| *at <= now);
        self.due.extend(matured.map(|(name, _)| name));
        if self.running.len() >= CONCURRENT {
            return None;
        }
        let name = self.due.iter().find(|name| !self.running.contains(*name))?.clone();
        self.due.remove(&name);
        self.later.remove(&name);
        self.running.insert(name.clone());
        Some(name)
    }

    /// Ends the write of a Namespace, which is due again at a time.
    fn end(&mut self, name: String, again: Option<Instant>) {
        self.running.remove(&name);
        self.later.extend(again.map(|at| (name, at)));
    }

    /// Returns the time at which the next Namespace becomes due.
    fn next(&self) -> Option<Instant> {
        self.later.values().copied().min()
    }
}

/// Writes the verdict of a Namespace. Returns the time until it is due again.
async fn write_one(operator: &Operator, native: &NativeAdmission, name: &str) -> Option<Duration> {
    let written = operator.leadership.write(timeout(SYNC, Box::pin(native.sync(name)))).await;
    let is_awaited = native.settle(name);
    match written {
        // The next leader begins with all of them.
        Err(NotLeader::Refused) => None,
        Ok(Ok(Ok(Synced::Unchanged))) if !is_awaited => None,
        Ok(Ok(Ok(Synced::Changed | Synced::Unchanged))) => {
            operator.wake_policies(name);
            None
        }
        Ok(Ok(Ok(Synced::Later(at)))) => {
            operator.wake_policies(name);
            Some(until(at, operator.now()))
        }
        Ok(Ok(Err(error))) => {
            failed(operator, name, &error);
            Some(RETRY)
        }
        Ok(Err(_)) | Err(NotLeader::CutOff) => Some(RETRY),
    }
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default() + Duration::from_millis(10)
}

fn failed(operator: &Operator, name: &str, error: &CallError) {
    warn!(namespace = name, %error, "failed to write the verdict on the Namespace; will retry");
    operator.metrics.errors.with_label_values(&[error.category()]).inc();
    operator.wake_policies(name);
}

/// Looks at the admission policies again and again, and reports changes in the conditions of policies. Never returns.
pub(super) async fn watch_installation(operator: &Operator, native: &NativeAdmission) -> Infallible {
    loop {
        match native_installation(&operator.cluster, &native.settings).await {
            Ok(installation) => {
                if native.set_missing(installation.problems.into_iter().next()) {
                    for known in operator.policies.all() {
                        operator
                            .wake_policies(known.policy.metadata.namespace.as_deref().unwrap_or_default());
                    }
                }
            }
            Err(error) => warn!(%error, "failed to check the admission policies; will retry"),
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_slow_namespace_holds_up_no_other_and_is_written_by_one_at_a_time() {
        let (mut queue, now) = (DueQueue::default(), Instant::now());
        queue.add(names(&["slow"]));
        assert_eq!(queue.begin(now).as_deref(), Some("slow"));
        queue.add(names(&["shop", "slow"]));
        assert_eq!(queue.begin(now).as_deref(), Some("shop"), "while another one is written");
        assert_eq!(queue.begin(now), None);
        queue.end("slow".to_owned(), None);
        assert_eq!(queue.begin(now).as_deref(), Some("slow"), "it became due again meanwhile");
    }

    #[test]
    fn a_failed_namespace_waits_for_its_time_and_a_change_comes_first() {
        let (mut queue, now) = (DueQueue::default(), Instant::now());
        queue.add(names(&["shop"]));
        queue.begin(now);
        queue.end("shop".to_owned(), Some(now + RETRY));
        queue.add(names(&["bank"]));
        assert_eq!(queue.begin(now).as_deref(), Some("bank"), "a wake for another one is no retry");
        assert_eq!((queue.begin(now), queue.next()), (None, Some(now + RETRY)));
        assert_eq!(queue.begin(now + RETRY).as_deref(), Some("shop"));
        queue.end("shop".to_owned(), Some(now + RETRY));
        queue.add(names(&["shop"]));
        assert_eq!((queue.begin(now).as_deref(), queue.next()), (Some("shop"), None));
    }

    #[test]
    fn only_so_many_are_written_at_a_time() {
        let (mut queue, now) = (DueQueue::default(), Instant::now());
        queue.add((0..20).map(|number| format!("n{number}")).collect());
        let begun = std::iter::from_fn(|| queue.begin(now)).count();
        assert_eq!((begun, queue.due.len()), (CONCURRENT, 20 - CONCURRENT));
    }
}
