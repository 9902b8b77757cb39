//! Readiness: a process may receive requests once all its parts have synced, and until it shuts down. It knows the
//! parts only by name.

use super::Shutdown;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The set of parts that aren't ready yet; cheap to clone.
#[derive(Clone, Debug)]
pub struct Readiness {
    pending: Pending,
    shutdown: Shutdown,
}

/// The names, each with how many handles it still has.
type Pending = Arc<Mutex<BTreeMap<String, usize>>>;

/// A part that isn't ready: it is once its last handle is dropped.
#[derive(Debug)]
#[must_use = "a part is ready once its handle is dropped"]
pub struct Unready {
    name: String,
    pending: Pending,
}

impl Readiness {
    /// Makes an empty set, ready until the shutdown.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { pending: Pending::default(), shutdown }
    }

    /// Adds a part that isn't ready; all have to be added before the server starts.
    pub fn register(&self, name: impl Into<String>) -> Unready {
        let name = name.into();
        *lock(&self.pending).entry(name.clone()).or_default() += 1;
        Unready { name, pending: Arc::clone(&self.pending) }
    }

    /// Returns the names of what isn't ready, sorted; none when the process is ready.
    #[must_use]
    pub fn pending(&self) -> Vec<String> {
        if self.shutdown.is_triggered() {
            return vec!["shutting down".to_owned()];
        }
        lock(&self.pending).keys().cloned().collect()
    }
}

impl Unready {
    /// Marks the part as ready; dropping the handle does the same.
    pub fn ready(self) {}
}

impl Drop for Unready {
    fn drop(&mut self) {
        // A part that died on its way never synced.
        if std::thread::panicking() {
            return;
        }
        let mut pending = lock(&self.pending);
        match pending.get_mut(&self.name) {
            Some(handles) if *handles > 1 => *handles -= 1,
            _ => drop(pending.remove(&self.name)),
        }
    }
}

fn lock(pending: &Pending) -> MutexGuard<'_, BTreeMap<String, usize>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_once_the_last_part_is() {
        let readiness = Readiness::new(Shutdown::new());
        let [pods, more_pods, policies] = ["pods", "pods", "policies"].map(|name| readiness.register(name));
        drop(pods);
        assert_eq!(readiness.pending(), ["pods", "policies"]);
        policies.ready();
        assert_eq!(readiness.pending(), ["pods"]);
        drop(more_pods);
        assert!(readiness.pending().is_empty());
    }

    #[test]
    fn a_process_that_shuts_down_is_not_ready() {
        let shutdown = Shutdown::new();
        let readiness = Readiness::new(shutdown.clone());
        shutdown.trigger();
        assert_eq!(readiness.pending(), ["shutting down"]);
    }

    #[test]
    fn a_part_that_panicked_never_gets_ready() {
        let readiness = Readiness::new(Shutdown::new());
        let pods = readiness.register("pods");
        let panicked = std::thread::spawn(move || {
            let _pods = pods;
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        assert_eq!(readiness.pending(), ["pods"]);
    }
}
