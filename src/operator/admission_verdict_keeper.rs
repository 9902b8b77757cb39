//! The tasks of native admission: they write the verdicts that are due, and check that the admission policies are
//! installed.

use std::convert::Infallible;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::Operator;
use super::native_admission::{NativeAdmission, Synced, today};
use crate::admission::missing_policies;
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
        while leadership.is_leader() {
            // Verdicts have a date.
            let day = today(operator.now());
            if std::mem::replace(&mut written, day) != day {
                native.wake_all();
            }
            let midnight = day.tomorrow().and_then(|next| next.to_zoned(TimeZone::UTC));
            let midnight = midnight.map_or(LONGEST, |midnight| until(midnight.timestamp(), operator.now()));
            let pause = write_due(operator, native).await.min(midnight);
            tokio::select! {
                () = native.woken.notified() => {}
                () = sleep(pause) => {}
                _ = leadership.changed() => {}
            }
        }
    }
}

/// Writes the verdicts that are due, and returns the time until the next one is.
async fn write_due(operator: &Operator, native: &NativeAdmission) -> Duration {
    let due = native.take_due();
    let pauses = stream::iter(due).map(|name| async move {
        let written = operator.leadership.write(timeout(SYNC, Box::pin(native.sync(&name)))).await;
        let is_awaited = native.settle(&name);
        let pause = match written {
            // The next leader begins with all of them.
            Err(NotLeader::Refused) => return None,
            Ok(Ok(Ok(Synced::Unchanged))) if !is_awaited => return None,
            Ok(Ok(Ok(Synced::Changed | Synced::Unchanged))) => {
                operator.wake_policies(&name);
                return None;
            }
            Ok(Ok(Ok(Synced::Later(at)))) => {
                operator.wake_policies(&name);
                until(at, operator.now())
            }
            Ok(Ok(Err(error))) => {
                failed(operator, &name, &error);
                RETRY
            }
            Ok(Err(_)) | Err(NotLeader::CutOff) => RETRY,
        };
        Some((name, pause))
    });
    let later: Vec<_> = pauses.buffer_unordered(CONCURRENT).filter_map(async |later| later).collect().await;
    let pause = later.iter().map(|(_, pause)| *pause).min().unwrap_or(LONGEST).min(LONGEST);
    native.postpone(later.into_iter().map(|(name, _)| name));
    pause
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
        match missing_policies(&operator.cluster, &native.settings).await {
            Ok(missing) => {
                if native.set_missing(missing.into_iter().next()) {
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
