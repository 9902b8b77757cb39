//! Waits for asynchronous work of controllers.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The time limit for controllers, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// Polls until the probe returns a value. Panics with `what` after a minute.
pub(crate) async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, probe).await
}

/// Polls until the probe returns a value. Panics with `what` after the time limit.
pub(crate) async fn within<T>(limit: Duration, what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within_every(POLL, limit, what, probe).await
}

/// Polls once a period until the probe returns a value. Panics with `what` after the time limit.
pub(crate) async fn within_every<T>(
    period: Duration,
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        sleep(period).await;
    }
}
