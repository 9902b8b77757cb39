//! Reconciles one policy: evaluates its namespace, and writes its status if it changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event as KubeEvent, EventType};
use kube::runtime::finalizer::{Event, finalizer};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::audit::{Past, Step};
use super::context::EvaluatedPolicy;
use super::error::WriteError;
use super::feeds::{PolicyName, reference};
use super::report_keeper::keep_report;
use super::{
    EvaluationOutcome, NamespaceEvaluation, Operator, ReconcileError, evaluate_inventory, next_status,
    next_step,
};
use crate::cluster::CallError;
use crate::policies::{StatusError, write_status};
use crate::policy::{
    CompiledPolicy, ConditionReason, ConditionType, DevOpsPolicy, DevOpsPolicyStatus, EnforcementMode,
    PolicyAuditResult,
};
use crate::remediation::{Enforcer, RemediationError, StatusHome};

/// The operator's finalizer.
pub use crate::policy::FINALIZER;
/// Time limit for all writes of one reconcile together.
const WRITES: Duration = Duration::from_secs(30);

/// The time until the next look at objects that are not read yet.
pub(super) const UNREAD: Duration = Duration::from_millis(200);

/// Evaluates a policy's namespace, and writes the result if this replica leads.
pub(super) async fn reconcile(
    name: Arc<PolicyName>,
    operator: Arc<Operator>,
) -> Result<Action, ReconcileError> {
    // A deleted policy needs no reconcile.
    let Some(policy) = operator.policies.get(&reference(&name)) else { return Ok(Action::await_change()) };
    let leads = operator.leadership.is_leader();
    // The status is written once, with the verdict that the same change causes.
    if leads
        && policy.policy.metadata.deletion_timestamp.is_none()
        && let Some(until) = operator.awaits_verdicts(&policy.policy.namespace())
    {
        return Ok(again(&operator, Some(until)));
    }
    let timer = operator.metrics.duration.start_timer();
    let Some(outcome) = evaluate(&operator, &policy).await? else { return Ok(Action::requeue(UNREAD)) };
    let reconciled = if leads {
        as_leader(&operator, Box::pin(write(&operator, &policy, &outcome))).await
    } else {
        Ok(None)
    };
    timer.observe_duration();
    operator.metrics.count(&reconciled);
    // The earlier of two times: a pod will have been Pending for too long, or an audit result is due.
    let next = [reconciled?, outcome.evaluation().and_then(|evaluation| evaluation.next)]
        .into_iter()
        .flatten()
        .min();
    Ok(again(&operator, next))
}

/// Runs the writes of one reconcile while this replica leads, within a time limit. Returns the time of the next one.
pub(super) async fn as_leader(
    operator: &Operator,
    writes: impl Future<Output = Result<Option<jiff::Timestamp>, ReconcileError>>,
) -> Result<Option<jiff::Timestamp>, ReconcileError> {
    match operator.leadership.write(timeout(WRITES, writes)).await {
        Ok(Ok(written)) => written,
        Ok(Err(_)) => Err(ReconcileError::Timeout(WRITES)),
        Err(not_leader) => Err(not_leader.into()),
    }
}

/// Returns the action of a controller that reconciles again at a time.
pub(super) fn again(operator: &Operator, next: Option<jiff::Timestamp>) -> Action {
    next.map_or_else(Action::await_change, |next| {
        let left = Duration::try_from(next.duration_since(operator.now())).unwrap_or_default();
        Action::requeue(left + Duration::from_millis(50))
    })
}

/// Evaluates a policy's namespace; `None` while objects that its rules read are not there yet, or lack fields that
/// they read.
pub(super) async fn evaluate(
    operator: &Operator,
    CompiledPolicy { policy, effective }: &CompiledPolicy,
) -> Result<Option<EvaluationOutcome>, ReconcileError> {
    let namespace = policy.namespace().unwrap_or_default();
    let object = match effective {
        Ok(rules) if rules.reads_namespace() && !operator.policies.is_system(&namespace) => {
            operator.cluster.namespace_object(&namespace).await.map_err(StatusError::Namespace)?
        }
        _ => None,
    };
    let outcome = if operator.policies.is_system(&namespace) {
        EvaluationOutcome::NoEffect
    } else {
        match effective {
            Ok(rules) => {
                let inventory = operator.inventory();
                if inventory.lacks(&namespace, rules.fields_of_stored())
                    || inventory.related.is_awaited(rules.follows(), &namespace)
                {
                    return Ok(None);
                }
                let now = operator.now();
                EvaluationOutcome::Evaluated(evaluate_inventory(rules, (&namespace, object), &inventory, now))
            }
            Err(error) => EvaluationOutcome::Invalid(Arc::clone(error)),
        }
    };
    if let Some(evaluation) = outcome.evaluation() {
        operator.metrics.scanned.inc_by(evaluation.pods);
    }
    let key = policy.reference();
    if policy.metadata.deletion_timestamp.is_some() {
        operator.forget_policy(&key);
    } else {
        let evaluation =
            outcome.evaluation().map(|evaluation| (evaluation.score.value(), by_severity(evaluation)));
        let mode =
            if policy.is_kept_to_audit() { EnforcementMode::Audit } else { policy.spec.enforcement_mode };
        operator.evaluated().insert(key, EvaluatedPolicy { mode, evaluation });
    }
    Ok(Some(outcome))
}

fn by_severity(evaluation: &NamespaceEvaluation) -> BTreeMap<crate::rules::Severity, u64> {
    let mut counts = BTreeMap::new();
    for violation in &evaluation.violations {
        *counts.entry(violation.severity).or_default() += 1;
    }
    counts
}

/// Writes the results and returns the time of the next reconcile.
async fn write(
    operator: &Operator,
    compiled: &CompiledPolicy,
    outcome: &EvaluationOutcome,
) -> Result<Option<jiff::Timestamp>, ReconcileError> {
    let client = operator.cluster.client.clone();
    let policy = Arc::clone(&compiled.policy);
    let policies = Api::<DevOpsPolicy>::namespaced(client, &policy.namespace().unwrap_or_default());
    let mut due = None;
    let applied = finalizer(&policies, FINALIZER, policy, async |event| {
        match event {
            Event::Apply(_) => {
                due = apply(operator, &policies, compiled, outcome).await.map_err(Box::new)?;
            }
            // Its audit results are garbage-collected through their owner reference.
            Event::Cleanup(_) => clean_up(operator, &policies, compiled).await.map_err(Box::new)?,
        }
        Ok::<_, WriteError>(Action::await_change())
    });
    finalized(applied.await).map(|()| due)
}

/// Takes the result of a write with a finalizer. A policy that was deleted meanwhile is no error.
pub(super) fn finalized(
    written: Result<Action, kube::runtime::finalizer::Error<WriteError>>,
) -> Result<(), ReconcileError> {
    match written {
        // Once the finalizer is removed, the response is the policy, which may be unreadable.
        Ok(_) | Err(kube::runtime::finalizer::Error::RemoveFinalizer(kube::Error::SerdeError(_))) => Ok(()),
        // The policy was deleted meanwhile.
        Err(
            kube::runtime::finalizer::Error::AddFinalizer(error)
            | kube::runtime::finalizer::Error::RemoveFinalizer(error),
        ) if matches!(&error, kube::Error::Api(status) if status.code == 404) => Ok(()),
        Err(error) => Err(ReconcileError::Finalizer(Box::new(error))),
    }
}

async fn apply(
    operator: &Operator,
    policies: &Api<DevOpsPolicy>,
    compiled: &CompiledPolicy,
    outcome: &EvaluationOutcome,
) -> Result<Option<jiff::Timestamp>, ReconcileError> {
    let mut enforcer = Enforcer::new(&operator.remediator, StatusHome::Own(policies), compiled);
    // A refused record of enforcement does not delay the rest of the status or the audit result.
    let (next, failed) = match enforcer.step(outcome.evaluation().is_some()).await {
        Ok(next) => (next, None),
        Err(RemediationError::Status(error)) if !matches!(error, StatusError::NamespaceGoing) => {
            (None, Some(error.into()))
        }
        Err(error) => return Err(error.into()),
    };
    let enforcement = enforcer.enforcement_state().await;
    let policy = enforcer.policy();
    let admission = operator.admission(&policy.namespace().unwrap_or_default());
    if let Some(status) = next_status(policy, outcome, &enforcement, &admission, operator.now()) {
        write_status(&operator.cluster, policies, policy, &status).await?;
        announce(operator, &compiled.policy, &status).await;
    }
    let due = match outcome.evaluation() {
        Some(evaluation) => audit(operator, policy, evaluation).await?,
        None => None,
    };
    let report = keep_report(operator, compiled, outcome).await?;
    failed.map_or_else(|| Ok([next, due, report].into_iter().flatten().min()), Err)
}

/// Cleans up after a deleted policy.
async fn clean_up(
    operator: &Operator,
    policies: &Api<DevOpsPolicy>,
    policy: &CompiledPolicy,
) -> Result<(), ReconcileError> {
    // No denial outlives its policy.
    if let Some(native) = &operator.native {
        let cleared = native.sync(&policy.policy.namespace().unwrap_or_default()).await;
        cleared.map_err(|source| ReconcileError::Write {
            action: "clear the verdict of the Namespace",
            source,
        })?;
    }
    match Enforcer::new(&operator.remediator, StatusHome::Own(policies), policy).clean_up().await? {
        Some(again) => Err(ReconcileError::Unfinished { again }),
        None => Ok(()),
    }
}

/// Returns the condition Degraded of a status if it is true.
fn degraded(status: &DevOpsPolicyStatus) -> Option<&Condition> {
    ConditionType::Degraded.of(&status.conditions).filter(|condition| condition.status == "True")
}

/// Returns true if a policy stopped itself.
fn is_stopped(degraded: &Condition) -> bool {
    ConditionReason::Withdrawals.is_of(degraded)
}

/// Sends an event when a policy becomes healthy, unhealthy or invalid.
pub(super) async fn announce(operator: &Operator, policy: &DevOpsPolicy, status: &DevOpsPolicyStatus) {
    let before = policy.status.clone().unwrap_or_default();
    let (was_degraded, is_degraded) = (degraded(&before), degraded(status));
    let (type_, reason) = match (before.healthy, status.healthy) {
        _ if is_degraded.is_some_and(is_stopped) && !was_degraded.is_some_and(is_stopped) => {
            (EventType::Warning, "EnforcementStopped")
        }
        _ if is_degraded.is_some() && was_degraded.is_none() => {
            let is_incident = is_degraded.is_some_and(|degraded| ConditionReason::Incident.is_of(degraded));
            (EventType::Warning, if is_incident { "Incident" } else { "PolicyInvalid" })
        }
        (None | Some(true), Some(false)) => (EventType::Warning, "PolicyViolated"),
        (Some(false), Some(true)) => (EventType::Normal, "PolicySatisfied"),
        (None, Some(true)) if was_degraded.is_some() => (EventType::Normal, "PolicySatisfied"),
        _ => return,
    };
    // Repeated events are grouped under the first note, so it contains no figures.
    let note = match (is_degraded, &type_) {
        (Some(degraded), _) => degraded.message.clone(),
        (None, EventType::Normal) => "No violations left".to_owned(),
        (None, EventType::Warning) => match policy.namespace() {
            Some(namespace) => format!(
                "The namespace violates the policy; details: kubectl get policyauditresults -n {namespace}"
            ),
            None => "Namespaces or objects of the cluster violate the policy; details: kubectl get \
                     policyauditresults -A, and clusterObjects in its status"
                .to_owned(),
        },
    };
    let event = KubeEvent {
        type_,
        reason: reason.to_owned(),
        note: Some(note),
        action: "Evaluate".to_owned(),
        secondary: None,
    };
    // A lost event must not delay the next status.
    if let Err(error) = operator.events.record(event, &policy.object_reference()).await {
        warn!(policy = %policy.reference(), reason, error = %error, "event not recorded");
    }
}

/// Creates the audit result that is due, deletes surplus ones, and returns when the next is due.
pub(super) async fn audit(
    operator: &Operator,
    policy: &DevOpsPolicy,
    evaluation: &NamespaceEvaluation,
) -> Result<Option<jiff::Timestamp>, ReconcileError> {
    let uid = policy.uid().unwrap_or_default();
    let namespace = policy.namespace().unwrap_or_default();
    let latest = operator.audits().latest(&uid, &namespace).cloned();
    let fixes = operator.remediator.fixes(&policy.reference());
    let interval = operator.audit_interval;
    let cluster_name = operator.cluster_name.as_deref();
    let step = next_step(policy, evaluation, &fixes, latest.as_ref(), interval, cluster_name, operator.now());
    let client = operator.cluster.client.clone();
    let results = Api::<PolicyAuditResult>::namespaced(client, &namespace);
    let due = match step {
        Step::Nothing => None,
        Step::Wait(due) => Some(due),
        Step::Create(_) if is_namespace_going(operator, policy).await? => {
            return Err(StatusError::NamespaceGoing.into());
        }
        Step::Create(result) => {
            let create = async |_| results.create(&PostParams::default(), &result).await;
            match operator.cluster.call(create).await {
                Ok(created) => {
                    operator.metrics.audits.inc();
                    if let Some(past) = Past::of(&created.metadata) {
                        operator.audits().add(&uid, past);
                    }
                }
                // A previous operator crashed after creating it.
                Err(CallError::Status(status)) if status.reason == "AlreadyExists" => {
                    debug!(policy = %policy.reference(), "result exists");
                    if let Some(past) = Past::unseen(&result.metadata, operator.now()) {
                        operator.audits().presume(&uid, past);
                    }
                }
                Err(source) => {
                    return Err(ReconcileError::Write { action: "create an audit result", source });
                }
            }
            None
        }
    };
    let surplus = operator.audits().surplus(&uid, &namespace);
    for past in surplus {
        delete_result(operator, &results, &past).await?;
        operator.audits().remove(&uid, &past);
    }
    Ok(due)
}

async fn is_namespace_going(operator: &Operator, policy: &DevOpsPolicy) -> Result<bool, StatusError> {
    let namespace = policy.namespace().unwrap_or_default();
    operator.cluster.is_terminating(&namespace).await.map_err(StatusError::Namespace)
}

/// Deletes an audit result. One that is gone is no error.
pub(super) async fn delete_result(
    operator: &Operator,
    results: &Api<PolicyAuditResult>,
    past: &Past,
) -> Result<(), ReconcileError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(past.uid.clone()), resource_version: None }),
        ..DeleteParams::default()
    };
    let gone = |error: &CallError| matches!(error.code(), Some(404 | 409));
    match operator.cluster.call(async |_| results.delete(&past.name, &params).await).await {
        Ok(_) => Ok(()),
        Err(error) if gone(&error) => Ok(()),
        Err(source) => Err(ReconcileError::Write { action: "delete an audit result", source }),
    }
}
