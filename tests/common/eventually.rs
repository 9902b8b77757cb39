//! Waiting for what controllers bring about in their own time.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long controllers may take, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// Asks again and again until the probe has an answer, and panics with `what` if none comes within a minute.
pub(crate) async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, probe).await
}

/// Asks again and again until the probe has an answer, and panics with `what` if none comes in time.
pub(crate) async fn within<T>(limit: Duration, what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within_every(POLL, limit, what, probe).await
}

/// Asks once in each period until the probe has an answer, and panics with `what` if none comes in time.
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
