//! From the watch stream to the scoreboard: objects are parsed, counted and dropped. Knows nothing of who reads it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::warn;

use super::{ObserverMetrics, Scoreboard};
use crate::cluster::{self, Cluster, Mark, RawObject, Sink, WatchFailure, WatchRequest};
use crate::governance::Scope;
use crate::policy::EffectivePolicy;
use crate::workload::{Workload, WorkloadKind};

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
    /// What is said of the namespaces that were not found, until a pod of theirs is.
    missing: BTreeMap<String, String>,
}

/// What is observed, at one moment.
pub(super) struct View<'a> {
    /// The sums.
    pub(super) board: &'a Scoreboard,
    /// Whether every watch has listed everything once; before that the sums mean nothing.
    pub(super) synced: bool,
    /// What interrupts the watches now, or keeps them from seeing anything.
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
        let state = State { board, unsynced: watches, failures: BTreeMap::new(), missing: BTreeMap::new() };
        Self { state: Mutex::new(state), metrics, clock }
    }

    /// Looks at everything at once; whoever looks holds the watches up, so slow work belongs outside.
    pub(super) fn view<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let state = self.lock();
        let now = Instant::now();
        let current = state.failures.values().filter(|(_, until)| *until > now);
        let current = current.map(|(message, _)| message).chain(state.missing.values());
        look(&View {
            board: &state.board,
            synced: state.unsynced == 0,
            failures: current.map(String::as_str).collect(),
        })
    }

    /// Says of a namespace in which there is no pod whether it is known not to exist.
    async fn look_for(&self, cluster: &Cluster, namespace: String) {
        if self.lock().board.has_pods_in(&namespace) || !cluster.lacks_namespace(&namespace).await {
            return;
        }
        warn!(namespace, "namespace not found: nothing is counted until there is a pod in it");
        let message = format!("namespace {namespace:?} was not found, and no pod of it has been seen since");
        self.lock().missing.insert(namespace, message);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows one watch for ever; `synced` is dropped when everything has been listed once.
pub async fn observe<S>(observer: &Observer, cluster: &Cluster, request: WatchRequest, synced: S) {
    let namespace = request.namespace.clone();
    let feed = Feed::new(observer, namespace.clone());
    let (listed, was_listed) = oneshot::channel::<Infallible>();
    let look = async {
        let _ = was_listed.await;
        if let Some(namespace) = namespace {
            observer.look_for(cluster, namespace).await;
        }
    };
    tokio::join!(cluster::follow(cluster, request, feed, (listed, synced)), look);
}

/// What one watch brings, on its way to the scoreboard.
pub(super) struct Feed<'o> {
    observer: &'o Observer,
    namespace: Option<String>,
    /// The list under way or done last.
    mark: Mark,
    /// Whether no list has ended yet.
    unsynced: bool,
}

impl<'o> Feed<'o> {
    pub(super) fn new(observer: &'o Observer, namespace: Option<String>) -> Self {
        Self { observer, namespace, mark: Mark::default(), unsynced: true }
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

impl Sink for Feed<'_> {
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
