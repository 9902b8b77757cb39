//! Reconciles one cluster policy: evaluates those of its namespaces that changed, and writes one status for all.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event, finalizer};
use tokio::time::Instant;

use super::cluster_evaluations::{CLUSTER, ClusterTotals, EvaluatedNamespace};
use super::cluster_objects;
use super::error::WriteError;
use super::feeds::{PolicyName, reference};
use super::leftovers::delete_leftovers;
use super::reconcile::{FINALIZER, UNREAD, again, announce, as_leader, audit, evaluate, finalized};
use super::report_keeper::keep_report;
use super::status::{evaluated_at, status_by};
use super::{EvaluationOutcome, NamespaceEvaluation, Operator, ReconcileError};
use crate::policies::{ClusterPolicy, StatusError, write_status};
use crate::policy::{ClusterDevOpsPolicy, ClusterDevOpsPolicyStatus, CompiledPolicy};
use crate::remediation::{ClusterStatus, EnforcementState, Enforcer, StatusHome};
use crate::workload::PolicyRef;

/// The number of namespaces whose objects are written at a time.
const CONCURRENT: usize = 8;
/// The time after which no step of enforcement begins before the status is written.
const STEPS: Duration = Duration::from_secs(10);

/// An evaluated namespace: the policy as it is in effect there, and the evaluation.
type Evaluated = (CompiledPolicy, NamespaceEvaluation);

/// The evaluations of one reconcile.
#[derive(Default)]
struct AllEvaluated {
    namespaces: Vec<Evaluated>,
    /// The evaluation of the objects without a namespace, if it was due.
    cluster: Option<NamespaceEvaluation>,
}

/// Evaluates the namespaces of a cluster policy that changed, and writes the result if this replica leads.
pub(super) async fn reconcile(
    name: Arc<PolicyName>,
    operator: Arc<Operator>,
) -> Result<Action, ReconcileError> {
    let key = reference(&name);
    // A deleted policy needs no reconcile.
    let known = key.cluster_name().and_then(|name| operator.policies.cluster(name));
    let Some(policy) = known else { return Ok(Action::await_change()) };
    let leads = operator.leadership.is_leader();
    let is_going = policy.policy.metadata.deletion_timestamp.is_some();
    if !is_going {
        // Before the wait for verdicts, so that the first of them wakes a new policy too.
        operator.cluster_evaluations().follow(&key);
    }
    // The status is written once, with the verdicts that the same change causes.
    if leads
        && !is_going
        && let Some(until) = operator.awaits_verdicts(&policy.namespaces)
    {
        return Ok(again(&operator, Some(until)));
    }
    let timer = operator.metrics.duration.start_timer();
    let Some(evaluated) = (if is_going {
        Some(AllEvaluated::default())
    } else {
        evaluate_due(&operator, &policy, leads).await?
    }) else {
        return Ok(Action::requeue(UNREAD));
    };
    let reconciled = if leads {
        as_leader(&operator, Box::pin(write(&operator, &policy, evaluated))).await
    } else {
        Ok(None)
    };
    timer.observe_duration();
    operator.metrics.count(&reconciled);
    let next = [reconciled?, operator.cluster_evaluations().totals(&key).next].into_iter().flatten().min();
    Ok(again(&operator, next))
}

/// Evaluates the namespaces that are due; `None` while objects are not read in the form that the policy's own rules need.
async fn evaluate_due(
    operator: &Operator,
    policy: &ClusterPolicy,
    writes: bool,
) -> Result<Option<AllEvaluated>, ReconcileError> {
    let key = policy.policy.reference();
    let metadata = &policy.policy.metadata;
    let version = (metadata.uid.clone(), metadata.generation);
    let now = operator.now();
    let places = cluster_objects::evaluated_places(policy);
    let due = operator.cluster_evaluations().due(&key, version, &places, writes, now);
    let mut evaluated = AllEvaluated::default();
    let mut is_read = true;
    for namespace in due {
        if namespace == CLUSTER {
            evaluated.cluster = cluster_objects::evaluate(operator, policy);
            is_read &= evaluated.cluster.is_some();
            continue;
        }
        let within = PolicyRef::new(&namespace, &*key.name);
        // It may have changed meanwhile, which leads to another reconcile.
        let Some(compiled) = operator.policies.get(&within) else { continue };
        operator.cluster_evaluations().begin(&key, &namespace);
        match evaluate(operator, &compiled).await {
            Ok(Some(EvaluationOutcome::Evaluated(evaluation))) => {
                let admission = operator.admission(&namespace).condition(&key.name);
                let new = EvaluatedNamespace::new(&evaluation, admission);
                operator.cluster_evaluations().set(&key, &namespace, new);
                evaluated.namespaces.push((compiled, evaluation));
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                operator.cluster_evaluations().drop_namespace(&key, &namespace);
                is_read = false;
            }
            Err(error) => {
                operator.cluster_evaluations().drop_namespace(&key, &namespace);
                return Err(error);
            }
        }
    }
    Ok(is_read.then_some(evaluated))
}

/// Takes a step of enforcement in each evaluated namespace, and writes the status of the policy and the audit results.
/// Returns the time of the next step in a namespace that the policy no longer selects.
async fn write(
    operator: &Operator,
    policy: &ClusterPolicy,
    evaluated: AllEvaluated,
) -> Result<Option<Timestamp>, ReconcileError> {
    let policies = Api::<ClusterDevOpsPolicy>::all(operator.cluster.client.clone());
    let status = ClusterStatus::new(policies.clone(), policy);
    let mut next = None;
    let written = finalizer(&policies, FINALIZER, Arc::clone(&policy.policy), async |event| {
        match event {
            Event::Apply(_) => {
                next = apply(operator, &policies, &status, policy, evaluated).await.map_err(Box::new)?;
            }
            // Its audit results are garbage-collected through their owner reference.
            Event::Cleanup(_) => clean_up(operator, &status, policy).await.map_err(Box::new)?,
        }
        Ok::<_, WriteError>(Action::await_change())
    });
    finalized(written.await).map(|()| next)
}

async fn apply(
    operator: &Operator,
    policies: &Api<ClusterDevOpsPolicy>,
    status: &ClusterStatus,
    policy: &ClusterPolicy,
    evaluated: AllEvaluated,
) -> Result<Option<Timestamp>, ReconcileError> {
    let key = policy.policy.reference();
    let mut failed = None;
    let mut next = None;
    for within in without_evaluation(operator, policy) {
        match step(operator, status, &within, false).await {
            Ok(again) => next = [next, again].into_iter().flatten().min(),
            Err(error) => failed = Some(error),
        }
    }
    let mut stepped = Vec::new();
    let begun = Instant::now();
    for (within, evaluation) in evaluated.namespaces {
        if begun.elapsed() > STEPS {
            // The others are still due.
            next = Some(operator.now());
            break;
        }
        // A refused record of enforcement does not delay the rest of the status or the audit results.
        match step(operator, status, &within, true).await {
            Ok(again) => stepped.push((within, evaluation, again)),
            Err(error) => failed = Some(error),
        }
        if failed.as_ref().is_some_and(ReconcileError::is_conflict) {
            break;
        }
    }
    let totals = operator.cluster_evaluations().totals(&key);
    let newest = status.policy().await;
    let enforcement = operator.remediator.cluster_state(&newest.within(None), &policy.namespaces).await;
    if let Some(status) = next_status(&newest, policy, totals, &enforcement, operator.now()) {
        write_status(&operator.cluster, policies, &newest, &status).await?;
        announce(operator, &policy.compiled.policy, &status.totals).await;
    }
    let audits = stream::iter(stepped).map(async |(within, evaluation, again)| {
        let namespace = within.policy.namespace().unwrap_or_default();
        let due = match record(operator, &within, evaluation).await {
            // The results go with their namespace.
            Err(ReconcileError::Status(StatusError::NamespaceGoing)) => None,
            other => other?,
        };
        let again = [again, due].into_iter().flatten().min();
        operator.cluster_evaluations().set_written(&key, &namespace, again);
        Ok::<_, ReconcileError>(())
    });
    audits.buffer_unordered(CONCURRENT).try_collect::<()>().await?;
    if let Some(evaluation) = evaluated.cluster {
        let outcome = EvaluationOutcome::Evaluated(evaluation);
        let due = keep_report(operator, &policy.compiled, &outcome).await?;
        operator.cluster_evaluations().set_written(&key, CLUSTER, due);
    }
    delete_leftovers(operator, policy).await?;
    failed.map_or(Ok(next), Err)
}

/// Writes the audit result and the report of a namespace, and returns the time of the next one.
async fn record(
    operator: &Operator,
    within: &CompiledPolicy,
    evaluation: NamespaceEvaluation,
) -> Result<Option<Timestamp>, ReconcileError> {
    let due = audit(operator, &within.policy, &evaluation).await?;
    let report = keep_report(operator, within, &EvaluationOutcome::Evaluated(evaluation)).await?;
    Ok([due, report].into_iter().flatten().min())
}

/// Returns the policy within the namespaces in which it has records of patches and is not evaluated.
fn without_evaluation(operator: &Operator, policy: &ClusterPolicy) -> Vec<CompiledPolicy> {
    let mut found = policy.former();
    if policy.compiled.effective.is_err() {
        let name = policy.policy.reference().name;
        let recorded = policy.policy.recorded_namespaces().into_iter();
        found.extend(
            recorded.filter_map(|namespace| operator.policies.get(&PolicyRef::new(namespace, &*name))),
        );
    }
    found
}

/// Takes a step of enforcement in a namespace, and returns the time of the next one.
async fn step(
    operator: &Operator,
    status: &ClusterStatus,
    within: &CompiledPolicy,
    is_evaluated: bool,
) -> Result<Option<Timestamp>, ReconcileError> {
    let namespace = within.policy.namespace().unwrap_or_default();
    let within = status.within(within, &namespace).await;
    let mut enforcer = Enforcer::new(&operator.remediator, StatusHome::Cluster(status), &within);
    Ok(enforcer.step(is_evaluated && status.has_room().await).await?)
}

/// Returns the complete status of the policy, or `None` if it already has it.
fn next_status(
    newest: &ClusterDevOpsPolicy,
    policy: &ClusterPolicy,
    totals: ClusterTotals,
    enforcement: &EnforcementState,
    now: Timestamp,
) -> Option<ClusterDevOpsPolicyStatus> {
    let ClusterTotals { sums, namespaces, worst, admission, cluster_objects, .. } = totals;
    let is_valid = policy.compiled.effective.is_ok();
    let outcome = match &policy.compiled.effective {
        Ok(_) => EvaluationOutcome::Evaluated(sums),
        Err(error) => EvaluationOutcome::Invalid(Arc::clone(error)),
    };
    let next = ClusterDevOpsPolicyStatus {
        totals: status_by(&newest.within(None), &outcome, enforcement, admission, now),
        namespaces: is_valid.then_some(namespaces),
        worst_namespaces: worst,
        cluster_objects,
    };
    (Some(&next) != newest.status.as_ref())
        .then(|| ClusterDevOpsPolicyStatus { totals: evaluated_at(next.totals, now), ..next })
}

/// Cleans up after a deleted policy, in each namespace.
async fn clean_up(
    operator: &Operator,
    status: &ClusterStatus,
    policy: &ClusterPolicy,
) -> Result<(), ReconcileError> {
    operator.cluster_evaluations().forget(&policy.policy.reference());
    clear_verdicts(operator, policy).await?;
    let mut unfinished = None;
    for namespace in policy.policy.recorded_namespaces() {
        let within = status.within(&policy.compiled, namespace).await;
        let mut enforcer = Enforcer::new(&operator.remediator, StatusHome::Cluster(status), &within);
        unfinished = [unfinished, enforcer.clean_up().await?].into_iter().flatten().min();
    }
    match unfinished {
        Some(again) => Err(ReconcileError::Unfinished { again }),
        None => Ok(()),
    }
}

/// Takes a deleted policy out of the verdicts of its namespaces. No denial outlives its policy.
async fn clear_verdicts(operator: &Operator, policy: &ClusterPolicy) -> Result<(), ReconcileError> {
    let Some(native) = &operator.native else { return Ok(()) };
    let clear = |namespace: &String| {
        let namespace = namespace.clone();
        async move {
            let cleared = native.sync(&namespace).await;
            let action = "clear the verdict of a Namespace";
            cleared.map(drop).map_err(|source| ReconcileError::Write { action, source })
        }
    };
    stream::iter(policy.namespaces.iter().map(clear)).buffer_unordered(CONCURRENT).try_collect().await
}
