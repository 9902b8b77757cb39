//! The wait for a webhook that is not ready to be registered, and the risk of one that fails closed.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep};

use crate::admission::configuration::ConfigurationError;
use crate::commands::ExitStatus;
use crate::terminal::note;

/// The risk of --fail-closed.
pub(super) const RISK: &str = "while no replica answers, no pod or workload can be created or changed outside of system \
                               namespaces: `kube-devops webhook break-glass` lifts that, and `kube-devops webhook \
                               uninstall` ends it";

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Repeats an attempt while the webhook is not ready, for a time at most. The first reason becomes a note.
pub(super) async fn until_ready(
    wait: SignedDuration,
    attempt: impl AsyncFn() -> anyhow::Result<ExitStatus>,
) -> anyhow::Result<ExitStatus> {
    let (wait, start) = (Duration::try_from(wait)?, Instant::now());
    let mut is_noted = false;
    loop {
        let unready = match attempt().await {
            Err(error) if start.elapsed() < wait => match error.downcast::<ConfigurationError>() {
                Ok(error) if error.is_unready() => error,
                Ok(error) => return Err(error.into()),
                Err(error) => return Err(error),
            },
            outcome => return outcome,
        };
        if !std::mem::replace(&mut is_noted, true) {
            note(format_args!("waiting: {unready}"))?;
        }
        sleep(PAUSE).await;
    }
}
