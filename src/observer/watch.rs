//! Feeds the watch stream into the scoreboard: objects are parsed, counted and dropped.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::warn;

use super::{ObserverMetrics, Scoreboard};
use crate::cluster::{self, Cluster, ListMark, RawObject, Sink, WatchFailure, WatchRequest};
use crate::governance::{AnnotatedExemptions, Scope};
use crate::policy::EffectivePolicy;
use crate::workload::{Workload, WorkloadKind};

/// Everything observed so far, shared by the watches and the readers.
#[derive(Debug)]
pub struct Observer {
    state: Mutex<State>,
    metrics: ObserverMetrics,
    clock: fn() -> Timestamp,
}

#[derive(Debug)]
struct State {
    board: Scoreboard,
    /// The number of watches whose first list is not complete.
    unsynced: usize,
    /// The failure of each namespace's watch, or of the one watch of all, and the time when it expires unless it
    /// repeats.
    failures: BTreeMap<Option<String>, (String, Instant)>,
    /// The messages about namespaces that were not found, until one of their pods appears.
    missing: BTreeMap<String, String>,
}

/// A snapshot of the observer.
pub(super) struct View<'a> {
    /// The sums.
    pub(super) board: &'a Scoreboard,
    /// True once every watch has completed its first list. The sums mean nothing before.
    pub(super) synced: bool,
    /// The current failures of the watches, and the namespaces that were not found.
    pub(super) failures: Vec<&'a str>,
}

impl Observer {
    /// Creates an observer that waits for this many watches. The watches apply the label selector.
    pub fn new(
        policy: EffectivePolicy,
        scope: Scope,
        watches: usize,
        metrics: ObserverMetrics,
        clock: fn() -> Timestamp,
    ) -> Self {
        let board = Scoreboard::new(policy, scope);
        let state = State { board, unsynced: watches, failures: BTreeMap::new(), missing: BTreeMap::new() };
        Self { state: Mutex::new(state), metrics, clock }
    }

    /// Runs `look` on a snapshot. This blocks the watches, so slow work belongs outside.
    pub(super) fn view<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let mut state = self.lock();
        let now = Instant::now();
        state.board.refresh((self.clock)());
        let current = state.failures.values().filter(|(_, until)| *until > now);
        let current = current.map(|(message, _)| message).chain(state.missing.values());
        look(&View {
            board: &state.board,
            synced: state.unsynced == 0,
            failures: current.map(String::as_str).collect(),
        })
    }

    /// Records a namespace without pods as missing if it doesn't exist.
    async fn look_for(&self, cluster: &Cluster, namespace: String) {
        if self.lock().board.has_pods_in(&namespace) || !cluster.lacks_namespace(&namespace).await {
            return;
        }
        warn!(namespace, "namespace not found: it counts once it has a pod");
        let message = format!("namespace {namespace:?} was not found and has had no pod since");
        self.lock().missing.insert(namespace, message);
    }

    /// Changes the exemptions that annotations declare.
    pub(super) fn exempt(&self, change: impl FnOnce(&mut AnnotatedExemptions)) {
        change(&mut self.lock().board.annotated);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows one watch forever. Drops `synced` when the first list is complete.
pub async fn observe<S>(observer: &Observer, cluster: &Cluster, request: WatchRequest, synced: S) {
    let namespace = request.namespace.clone();
    let feed = ScoreboardSink::new(observer, namespace.clone());
    let (listed, was_listed) = oneshot::channel::<Infallible>();
    let look = async {
        let _ = was_listed.await;
        if let Some(namespace) = namespace {
            observer.look_for(cluster, namespace).await;
        }
    };
    tokio::join!(cluster::follow(cluster, request, feed, (listed, synced)), look);
}

/// Feeds the events of one watch into the scoreboard.
pub(super) struct ScoreboardSink<'o> {
    observer: &'o Observer,
    namespace: Option<String>,
    /// The current list, or the last one.
    mark: ListMark,
    /// True until the first list ends.
    unsynced: bool,
}

impl<'o> ScoreboardSink<'o> {
    pub(super) fn new(observer: &'o Observer, namespace: Option<String>) -> Self {
        Self { observer, namespace, mark: ListMark::default(), unsynced: true }
    }

    fn count(&self, pod: &RawObject) -> Result<(), String> {
        match Workload::from_json(WorkloadKind::Pod, pod.json()) {
            Ok(workload) => {
                let mut state = self.observer.lock();
                state.missing.remove(pod.namespace());
                state.board.apply(&workload, (self.observer.clock)());
                Ok(())
            }
            Err(error) => {
                self.observer.metrics.unreadable.inc();
                self.observer.lock().board.apply_unreadable(pod.namespace(), pod.name());
                Err(error.to_string())
            }
        }
    }
}

impl Sink for ScoreboardSink<'_> {
    fn begin_list(&mut self) {
        self.mark = self.observer.lock().board.begin_list();
    }

    fn list(&mut self, pod: &RawObject) -> Result<(), String> {
        self.observer.metrics.listed.inc();
        self.count(pod)
    }

    fn apply(&mut self, pod: &RawObject) -> Result<(), String> {
        self.observer.metrics.applied.inc();
        self.count(pod)
    }

    fn delete(&mut self, pod: &RawObject) {
        self.observer.metrics.deleted.inc();
        self.observer.lock().board.delete(pod.namespace(), pod.name());
    }

    fn end_list(&mut self) {
        let mut state = self.observer.lock();
        state.board.end_list(self.namespace.as_deref(), self.mark);
        state.unsynced -= usize::from(std::mem::take(&mut self.unsynced));
    }

    fn interrupted(&mut self, failure: &WatchFailure) {
        self.observer.metrics.failures.with_label_values(&[failure.error.category()]).inc();
        let failed = (failure.to_string(), Instant::now() + failure.silence);
        self.observer.lock().failures.insert(self.namespace.clone(), failed);
    }

    fn resumed(&mut self) {
        self.observer.lock().failures.remove(&self.namespace);
    }
}
