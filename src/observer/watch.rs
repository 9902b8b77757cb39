//! From the watch stream to the scoreboard: objects are parsed, counted and dropped. Knows nothing of who reads it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Mark, ObserverMetrics, Scoreboard};
use crate::cluster::{self, Cluster, Event, RawObject, WatchFailure, WatchRequest};
use crate::governance::Scope;
use crate::policy::EffectivePolicy;
use crate::workload::{Workload, WorkloadKind};

/// How often a failure that goes on is logged again.
const REMINDER: Duration = Duration::from_secs(60);

/// What has been observed so far; shared by those who write it and those who read it.
#[derive(Debug)]
pub struct Observer {
    state: Mutex<State>,
    metrics: ObserverMetrics,
    clock: fn() -> Timestamp,
}

#[derive(Debug)]
struct State {
    board: Scoreboard,
    /// The watches that have not listed everything once.
    unsynced: usize,
    /// What interrupts the watch of each namespace, or of all, and until when that holds without being heard again.
    failures: BTreeMap<Option<String>, (String, Instant)>,
}

/// What is observed, at one moment.
pub(super) struct View<'a> {
    /// The sums.
    pub(super) board: &'a Scoreboard,
    /// Whether every watch has listed everything once; before that the sums mean nothing.
    pub(super) synced: bool,
    /// What interrupts the watches now.
    pub(super) failures: Vec<&'a str>,
}

impl Observer {
    /// Makes an observer that waits for as many watches as there will be; the label selector is theirs to apply.
    pub fn new(
        policy: EffectivePolicy,
        scope: Scope,
        watches: usize,
        metrics: ObserverMetrics,
        clock: fn() -> Timestamp,
    ) -> Self {
        let board = Scoreboard::new(policy, scope);
        let state = State { board, unsynced: watches, failures: BTreeMap::new() };
        Self { state: Mutex::new(state), metrics, clock }
    }

    /// Looks at everything at once; whoever looks holds the watches up, so slow work belongs outside.
    pub(super) fn view<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let state = self.lock();
        let now = Instant::now();
        let current = state.failures.values().filter(|(_, until)| *until > now);
        look(&View {
            board: &state.board,
            synced: state.unsynced == 0,
            failures: current.map(|(message, _)| message.as_str()).collect(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows one watch for ever; `synced` is dropped when everything has been listed once.
pub async fn observe<S>(observer: &Observer, cluster: &Cluster, request: WatchRequest, synced: S) {
    let mut feed = Feed::new(observer, request.namespace.clone());
    let mut synced = Some(synced);
    let mut events = pin!(cluster::watch(cluster, request));
    while let Some(next) = events.next().await {
        match next {
            Ok(event) => feed.take(event),
            Err(failure) => feed.fail(&failure),
        }
        if feed.lists > 0 {
            synced = None;
        }
    }
    drop(synced);
}

/// One watch, as far as it has got.
struct Feed<'o> {
    observer: &'o Observer,
    namespace: Option<String>,
    /// The list under way or done last.
    mark: Mark,
    begun: Instant,
    pods: u64,
    bytes: u64,
    /// The lists that have been read to their end.
    lists: u64,
    /// What interrupts the watch, and when that was logged last.
    failure: Option<(String, Instant)>,
}

impl<'o> Feed<'o> {
    fn new(observer: &'o Observer, namespace: Option<String>) -> Self {
        Self {
            observer,
            namespace,
            mark: Mark::default(),
            begun: Instant::now(),
            pods: 0,
            bytes: 0,
            lists: 0,
            failure: None,
        }
    }

    fn take(&mut self, event: Event<RawObject>) {
        let metrics = &self.observer.metrics;
        match event {
            Event::Init => {
                self.mark = self.observer.lock().board.begin_list();
                (self.begun, self.pods, self.bytes) = (Instant::now(), 0, 0);
            }
            Event::InitApply(pod) => {
                metrics.listed.inc();
                self.pods += 1;
                self.bytes += pod.json().len() as u64;
                self.apply(&pod);
            }
            Event::InitDone => self.end_list(),
            Event::Apply(pod) => {
                metrics.applied.inc();
                self.apply(&pod);
                self.recover();
            }
            Event::Delete(pod) => {
                metrics.deleted.inc();
                self.observer.lock().board.delete(pod.namespace(), pod.name());
                self.recover();
            }
        }
    }

    fn apply(&self, pod: &RawObject) {
        let error = match Workload::from_json(WorkloadKind::Pod, pod.json()) {
            Ok(workload) => return self.observer.lock().board.apply(&workload, (self.observer.clock)()),
            Err(error) => error.to_string(),
        };
        warn!(namespace = pod.namespace(), pod = pod.name(), error, "skipped a pod that can't be read");
        self.observer.metrics.unreadable.inc();
        self.observer.lock().board.apply_unreadable(pod.namespace(), pod.name());
    }

    fn end_list(&mut self) {
        let mut state = self.observer.lock();
        state.board.end_list(self.namespace.as_deref(), self.mark);
        if self.lists == 0 {
            state.unsynced = state.unsynced.saturating_sub(1);
        }
        drop(state);
        self.lists += 1;
        info!(
            namespace = self.namespace.as_deref(),
            pods = self.pods,
            bytes = self.bytes,
            milliseconds = self.begun.elapsed().as_millis() as u64,
            "pods synced"
        );
        self.recover();
    }

    fn fail(&mut self, failure: &WatchFailure) {
        self.observer.metrics.failures.with_label_values(&[failure.category()]).inc();
        let (now, message) = (Instant::now(), failure.to_string());
        let until = now + failure.silence;
        self.observer.lock().failures.insert(self.namespace.clone(), (message.clone(), until));
        let due = |(logged, at): &(String, Instant)| *logged != message || now >= *at + REMINDER;
        if self.failure.as_ref().is_none_or(due) {
            warn!(
                category = failure.category(),
                error = message,
                "the watch is interrupted; it is tried again"
            );
            self.failure = Some((message, now));
        }
    }

    fn recover(&mut self) {
        if self.failure.take().is_some() {
            self.observer.lock().failures.remove(&self.namespace);
            info!(namespace = self.namespace.as_deref(), "the watch goes on");
        }
    }
}
