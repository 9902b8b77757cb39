//! The requests of a server that drains: how many are under way, and when the last one came.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The requests of a server; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    running: usize,
    last: Instant,
    draining: bool,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Running(Activity);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { running: 0, last: Instant::now(), draining: false })))
    }

    /// Notes that a request came. It ends when the handle is dropped.
    pub(super) fn begin(&self) -> Running {
        let mut state = self.lock();
        state.running += 1;
        state.last = Instant::now();
        Running(self.clone())
    }

    /// Begins the drain: from now on, each response ends its connection.
    pub(super) fn drain(&self) {
        let mut state = self.lock();
        state.draining = true;
        state.last = Instant::now();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.lock().draining
    }

    /// Waits until no request came or ran for a time.
    pub(super) async fn quiet(&self, quiet: Duration) {
        loop {
            let until = {
                let state = self.lock();
                let last = if state.running > 0 { Instant::now() } else { state.last };
                last + quiet
            };
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        state.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_is_quiet_a_while_after_the_last_request_has_ended() {
        let (activity, start) = (Activity::new(), Instant::now());
        let quiet = tokio::spawn({
            let activity = activity.clone();
            async move { activity.quiet(5 * SECOND).await }
        });
        let running = activity.begin();
        advance(20 * SECOND).await;
        assert!(!quiet.is_finished(), "one is under way");
        drop(running);
        quiet.await.unwrap();
        assert!(start.elapsed() >= 25 * SECOND, "{:?}", start.elapsed());
    }
}
