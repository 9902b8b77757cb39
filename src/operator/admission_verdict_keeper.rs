//! The tasks of native admission: they follow the Namespaces, write the verdicts that are due, and check that the
//! admission policies are installed.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, ObjectMeta};
use kube::core::PartialObjectMeta;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::Operator;
use super::native_admission::{NativeAdmission, Synced};
use crate::admission::missing_policies;
use crate::cluster::{self, CallError, RawObject, Sink, WatchRequest};
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

/// Follows the Namespaces. Never returns. `ready` is dropped once all were listed.
pub(super) async fn follow_namespaces<R>(operator: &Operator, native: &NativeAdmission, ready: R) {
    let resource = ApiResource::erase::<Namespace>(&());
    let request = WatchRequest { resource, namespace: None, selector: None, metadata_only: true };
    let sink = NamespaceSink { native, listed: BTreeSet::new() };
    cluster::follow(&operator.cluster, request, sink, ready).await;
}

/// Takes Namespaces from the watch.
struct NamespaceSink<'n> {
    native: &'n NativeAdmission,
    listed: BTreeSet<String>,
}

impl Sink for NamespaceSink<'_> {
    fn begin_list(&mut self) {
        self.listed.clear();
    }

    fn list(&mut self, object: &RawObject) -> Result<(), String> {
        self.listed.insert(object.name().to_owned());
        self.apply(object)
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        self.native.note(&metadata(object)?);
        Ok(())
    }

    fn delete(&mut self, object: &RawObject) {
        self.native.forget(object.name());
    }

    fn end_list(&mut self) {
        self.native.retain(&self.listed);
    }
}

fn metadata(object: &RawObject) -> Result<ObjectMeta, String> {
    let parsed = serde_json::from_str::<PartialObjectMeta<Namespace>>(object.json());
    parsed.map(|object| object.metadata).map_err(|error| error.to_string())
}

/// Writes the verdicts that are due, while this replica leads. Never returns.
pub(super) async fn keep_verdicts(operator: &Operator, native: &NativeAdmission) -> Infallible {
    operator.policies.wait_until_listed().await;
    let mut leadership = operator.leadership.clone();
    loop {
        leadership.acquired().await;
        native.wake_all();
        while leadership.is_leader() {
            let pause = write_due(operator, native).await;
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
        let pause = match written {
            // The next leader begins with all of them.
            Ok(Ok(Ok(Synced::Unchanged))) | Err(NotLeader::Refused) => return None,
            Ok(Ok(Ok(Synced::Changed))) => {
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
