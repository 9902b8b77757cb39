//! Reconciles one cluster policy: evaluates those of its namespaces that changed, and writes one status for all.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event, finalizer};
use tokio::time::timeout;

use super::cluster_evaluations::{ClusterTotals, EvaluatedNamespace};
use super::error::WriteError;
use super::feeds::{PolicyName, reference};
use super::reconcile::{FINALIZER, UNREAD, WRITES, again, announce, audit, evaluate, finalized};
use super::report_keeper::{delete_elsewhere, keep_report};
use super::status::{evaluated_at, status_by};
use super::{EvaluationOutcome, NamespaceEvaluation, Operator, ReconcileError};
use crate::policies::{ClusterPolicy, StatusError, write_status};
use crate::policy::{
    ClusterDevOpsPolicy, ClusterDevOpsPolicyStatus, CompiledPolicy, ConditionReason, EnforcementMode,
};
use crate::remediation::EnforcementState;
use crate::workload::PolicyRef;

/// The number of namespaces whose objects are written at a time.
const CONCURRENT: usize = 8;

/// An evaluated namespace: the policy as it is in effect there, and the evaluation.
type Evaluated = (CompiledPolicy, NamespaceEvaluation);

/// Evaluates the namespaces of a cluster policy that changed, and writes the result if this replica leads.
pub(super) async fn reconcile(
    name: Arc<PolicyName>,
    operator: Arc<Operator>,
) -> Result<Action, ReconcileError> {
    let key = reference(&name);
    // A deleted policy needs no reconcile.
    let known = key.cluster_name().and_then(|name| operator.policies.cluster(name));
    let Some(policy) = known else { return Ok(Action::await_change()) };
    let timer = operator.metrics.duration.start_timer();
    let leads = operator.leadership.is_leader();
    let is_going = policy.policy.metadata.deletion_timestamp.is_some();
    let Some(evaluated) =
        (if is_going { Some(Vec::new()) } else { evaluate_due(&operator, &policy, leads).await? })
    else {
        return Ok(Action::requeue(UNREAD));
    };
    let reconciled = if leads {
        let writes = timeout(WRITES, Box::pin(write(&operator, &policy, evaluated)));
        match operator.leadership.write(writes).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) => Err(ReconcileError::Timeout(WRITES)),
            Err(not_leader) => Err(not_leader.into()),
        }
    } else {
        Ok(())
    };
    timer.observe_duration();
    let reconciled = reconciled.map(|()| operator.cluster_evaluations().totals(&key).next);
    operator.metrics.count(&reconciled);
    Ok(again(&operator, reconciled?))
}

/// Evaluates the namespaces that are due; `None` while objects are not read in the form that the policy's own rules need.
async fn evaluate_due(
    operator: &Operator,
    policy: &ClusterPolicy,
    audits: bool,
) -> Result<Option<Vec<Evaluated>>, ReconcileError> {
    let key = policy.policy.reference();
    let metadata = &policy.policy.metadata;
    let version = (metadata.uid.clone(), metadata.generation);
    let now = operator.now();
    let due = operator.cluster_evaluations().due(&key, version, &policy.namespaces, audits, now);
    let mut evaluated = Vec::new();
    let mut is_read = true;
    for namespace in due {
        let within = PolicyRef::new(&namespace, &*key.name);
        // It may have changed meanwhile, which leads to another reconcile.
        let Some(compiled) = operator.policies.get(&within) else { continue };
        operator.cluster_evaluations().begin(&key, &namespace);
        match evaluate(operator, &compiled).await {
            Ok(Some(EvaluationOutcome::Evaluated(evaluation))) => {
                let admission = operator.admission(&namespace).condition(&key.name);
                let new = EvaluatedNamespace::new(&evaluation, admission);
                operator.cluster_evaluations().set(&key, &namespace, new);
                evaluated.push((compiled, evaluation));
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

/// Writes the status of the policy, and the audit results of the evaluated namespaces.
async fn write(
    operator: &Operator,
    policy: &ClusterPolicy,
    evaluated: Vec<Evaluated>,
) -> Result<(), ReconcileError> {
    let policies = Api::<ClusterDevOpsPolicy>::all(operator.cluster.client.clone());
    let written = finalizer(&policies, FINALIZER, Arc::clone(&policy.policy), async |event| {
        match event {
            Event::Apply(_) => apply(operator, &policies, policy, evaluated).await.map_err(Box::new)?,
            // Its audit results are garbage-collected through their owner reference.
            Event::Cleanup(_) => clear_verdicts(operator, policy).await.map_err(Box::new)?,
        }
        Ok::<_, WriteError>(Action::await_change())
    });
    finalized(written.await)
}

async fn apply(
    operator: &Operator,
    policies: &Api<ClusterDevOpsPolicy>,
    policy: &ClusterPolicy,
    evaluated: Vec<Evaluated>,
) -> Result<(), ReconcileError> {
    let totals = operator.cluster_evaluations().totals(&policy.policy.reference());
    if let Some(status) = next_status(policy, totals, operator.now()) {
        write_status(&operator.cluster, policies, &policy.policy, &status).await?;
        announce(operator, &policy.compiled.policy, &status.totals).await;
    }
    let none = BTreeSet::new();
    let is_valid = policy.compiled.effective.is_ok();
    delete_elsewhere(operator, &policy.policy, if is_valid { &policy.namespaces } else { &none }).await?;
    let audits = stream::iter(evaluated).map(async |(within, evaluation)| {
        let namespace = within.policy.namespace().unwrap_or_default();
        let due = match record(operator, &within, evaluation).await {
            // The results go with their namespace.
            Err(ReconcileError::Status(StatusError::NamespaceGoing)) => None,
            other => other?,
        };
        operator.cluster_evaluations().set_audited(&policy.policy.reference(), &namespace, due);
        Ok(())
    });
    audits.buffer_unordered(CONCURRENT).try_collect().await
}

/// Writes the audit result and the report of a namespace, and returns the time at which the next one is due.
async fn record(
    operator: &Operator,
    within: &CompiledPolicy,
    evaluation: NamespaceEvaluation,
) -> Result<Option<Timestamp>, ReconcileError> {
    let audited = audit(operator, &within.policy, &evaluation).await?;
    let reported = keep_report(operator, within, &EvaluationOutcome::Evaluated(evaluation)).await?;
    Ok([audited, reported].into_iter().flatten().min())
}

/// Returns the complete status of the policy, or `None` if it already has it.
fn next_status(
    policy: &ClusterPolicy,
    totals: ClusterTotals,
    now: Timestamp,
) -> Option<ClusterDevOpsPolicyStatus> {
    let ClusterTotals { sums, namespaces, worst, admission, .. } = totals;
    let is_valid = policy.compiled.effective.is_ok();
    let outcome = match &policy.compiled.effective {
        Ok(_) => EvaluationOutcome::Evaluated(sums),
        Err(error) => EvaluationOutcome::Invalid(Arc::clone(error)),
    };
    let whole = &policy.compiled.policy;
    let totals = status_by(whole, &outcome, &enforcement(whole.spec.enforcement_mode), admission, now);
    let next = ClusterDevOpsPolicyStatus {
        totals,
        namespaces: is_valid.then_some(namespaces),
        worst_namespaces: worst,
    };
    (Some(&next) != policy.policy.status.as_ref())
        .then(|| ClusterDevOpsPolicyStatus { totals: evaluated_at(next.totals, now), ..next })
}

/// Returns the state of enforcement: a cluster policy patches nothing.
fn enforcement(mode: EnforcementMode) -> EnforcementState {
    match mode {
        EnforcementMode::Audit => EnforcementState::default(),
        EnforcementMode::Enforce => EnforcementState {
            reason: ConditionReason::ClusterPolicy,
            message: "a ClusterDevOpsPolicy denies at admission, and patches nothing: a DevOpsPolicy in the namespace can"
                .to_owned(),
            ..EnforcementState::default()
        },
    }
}

/// Takes a deleted policy out of the verdicts of its namespaces. No denial outlives its policy.
async fn clear_verdicts(operator: &Operator, policy: &ClusterPolicy) -> Result<(), ReconcileError> {
    operator.cluster_evaluations().forget(&policy.policy.reference());
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
