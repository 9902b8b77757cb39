//! Reconciles a policy when it changes, when its namespace changes, and when this replica becomes the leader.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use kube::ResourceExt as _;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::time::sleep;
use tracing::{debug, warn};

use super::feeds::{PolicyName, name, reference};
use super::reconcile::reconcile;
use super::{
    Operator, ReconcileError, admission_verdict_keeper, cluster_reconcile, feeds, namespace_watch,
    related_watch,
};
use crate::leader::{Leadership, NotLeader};
use crate::workload::PolicyRef;

/// The time for which changes of a namespace are collected before its policies are reconciled, so that a rollout does
/// not trigger one reconcile per pod.
const GATHER: Duration = Duration::from_millis(200);
/// The number of concurrent reconciles.
const CONCURRENT: u16 = 4;

/// Runs the operator. After `stop` it starts no reconcile, and returns once the running ones have ended.
///
/// `ready` is dropped after the first lists are complete.
pub async fn run<R: Send + 'static>(
    operator: Arc<Operator>,
    ready: R,
    stop: impl Future<Output = ()> + Send + Sync + Unpin + 'static,
) {
    let (synced, listed) = feeds::barrier();
    let inventory = feeds::follow_all(&operator, &synced);
    let namespaces = namespace_watch::follow_namespaces(&operator, synced.clone());
    // The watches of pods and workloads begin once the policies say which fields they need.
    let (policies, store, watch) = feeds::policies(&operator, synced);
    let related = related_watch::follow_related(&operator);
    let control = async {
        listed.wait().await;
        drop(ready);
        let conflict_policy = operator.remediator.conflict_policy();
        let conflict_policy = conflict_policy.keep(operator.leadership.clone());
        let orphans = operator.remediator.watch_orphans(operator.leadership.clone());
        let controller = Controller::for_stream(policies, store.clone())
            .with_config(Config::default().concurrency(CONCURRENT))
            .reconcile_on(changes(Arc::clone(&operator), store))
            .reconcile_all_on(acquisitions(operator.leadership.clone()))
            .graceful_shutdown_on(stop)
            .run(
                reconcile_any,
                |policy, error, operator| on_error(&policy, error, &operator),
                Arc::clone(&operator),
            )
            .for_each(async |outcome| {
                if let Err(error) = outcome {
                    debug!(%error, "reconciliation ended");
                }
            });
        tokio::select! {
            () = controller => {}
            never = conflict_policy => match never {},
            never = orphans => match never {},
            never = native_admission(&operator) => match never {},
        }
    };
    tokio::select! {
        () = watch => {}
        () = inventory => {}
        () = namespaces => {}
        () = related => {}
        () = control => {}
    }
}

async fn reconcile_any(policy: Arc<PolicyName>, operator: Arc<Operator>) -> Result<Action, ReconcileError> {
    match reference(&policy).cluster_name() {
        Some(_) => cluster_reconcile::reconcile(policy, operator).await,
        None => reconcile(policy, operator).await,
    }
}

/// Keeps the verdicts of native admission; waits for ever without it.
async fn native_admission(operator: &Operator) -> Infallible {
    let Some(native) = &operator.native else { return pending().await };
    tokio::select! {
        never = admission_verdict_keeper::keep_verdicts(operator, native) => never,
        never = admission_verdict_keeper::watch_installation(operator, native) => never,
    }
}

/// Yields the policies of each changed namespace.
fn changes(
    operator: Arc<Operator>,
    store: Store<PolicyName>,
) -> impl Stream<Item = ObjectRef<PolicyName>> + Send {
    stream::unfold((operator, store), |(operator, store)| async {
        operator.changed.notified().await;
        sleep(GATHER).await;
        let changed = operator.inventory().take_changed();
        let mut woken = policies_in(&store, &changed);
        let is_in_effect = |policy: &PolicyRef| operator.policies.get(policy).is_some();
        let cluster = operator.cluster_evaluations().note_changed(&changed, is_in_effect);
        woken.extend(cluster.into_iter().map(|policy| ObjectRef::from_obj(&name(policy))));
        Some((stream::iter(woken), (operator, store)))
    })
    .flatten()
}

fn policies_in(store: &Store<PolicyName>, namespaces: &BTreeSet<String>) -> Vec<ObjectRef<PolicyName>> {
    let all = store.state();
    let concerned =
        all.iter().filter(|policy| policy.namespace().is_some_and(|name| namespaces.contains(&name)));
    concerned.map(|policy| ObjectRef::from_obj(&**policy)).collect()
}

/// Yields whenever this replica becomes the leader, because its verdicts may have to be written.
fn acquisitions(leadership: Leadership) -> impl Stream<Item = ()> + Send {
    stream::unfold(leadership, |mut leadership| async {
        while !leadership.changed().await {}
        Some(((), leadership))
    })
}

fn on_error(policy: &PolicyName, error: &ReconcileError, operator: &Operator) -> Action {
    if let Some(again) = error.unfinished() {
        let left = Duration::try_from(again.duration_since(operator.now())).unwrap_or_default();
        return Action::requeue(left.max(GATHER));
    }
    if error.is_moot() {
        return Action::await_change();
    }
    operator.metrics.errors.with_label_values(&[error.category()]).inc();
    match error {
        ReconcileError::NotLeader(NotLeader::Refused) => Action::await_change(),
        // The write timed out. If the Lease is really lost, the process ends.
        ReconcileError::NotLeader(NotLeader::CutOff) => Action::requeue(Duration::from_secs(2)),
        // Another client wrote the policy at the same time. That write triggers another reconcile.
        error if error.is_conflict() => Action::requeue(Duration::from_millis(500)),
        error => {
            let category = error.category();
            warn!(policy = %reference(policy), category, %error, "failed to reconcile; will retry");
            Action::requeue(Duration::from_secs(5).mul_f64(1.0 + fastrand::f64()))
        }
    }
}
