//! Cleans up after a deleted policy: finishes rollouts and, with `onDelete: revert`, withdraws patches. Then the
//! finalizer is removed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::runtime::events::EventType;
use tokio::time::timeout;
use tracing::debug;

use super::enforcer::Enforcer;
use super::error::RemediationError;
use super::planning::pause_for_room;
use crate::enforcement::BudgetDecision;
use crate::enforcement::records::{has_patches, is_under_way};
use crate::policies::StatusError;
use crate::policy::{
    ConditionReason, ConditionType, OnDelete, Remediation, RemediationPhase, RemediationReason,
};

/// The last fraction of the cleanup time, in which rollouts are no longer awaited.
const LAST_PART: i32 = 5;
/// Time limit of the last attempt after the deadline. It leaves time to report the result.
const LAST_ATTEMPT: Duration = Duration::from_secs(20);

impl Enforcer<'_> {
    /// Continues the cleanup; returns the time of the next step, or `None` once the finalizer may be removed.
    pub async fn clean_up(&mut self) -> Result<Option<Timestamp>, RemediationError> {
        let next = self.clean_up_step().await?;
        if next.is_none() {
            self.keep_patches().await;
            // It may have been the last enforcing policy.
            self.remediator.conflict_policy.ensure().await;
        }
        Ok(next)
    }

    async fn clean_up_step(&mut self) -> Result<Option<Timestamp>, RemediationError> {
        if self.unfinished().is_empty() {
            let finalizers = self.policy.metadata.finalizers.iter().flatten();
            // Without another finalizer the policy disappears at once, so its conditions are not needed.
            if finalizers.count() > 1 && self.cleanup_started().is_none() {
                let written = self.begin_cleanup().await;
                written.inspect_err(|error| debug!(%error, "failed to update the conditions")).ok();
            }
            return Ok(None);
        }
        if self.is_namespace_going().await? {
            return Ok(None);
        }
        let since = self.begin_cleanup().await?;
        let ends = since.saturating_add(self.remediator.settings.cleanup_time).unwrap_or(Timestamp::MAX);
        let late = self.now() > ends;
        let attempt = timeout(LAST_ATTEMPT, Box::pin(self.finish()));
        let next = match attempt.await {
            Ok(Ok(next)) => next,
            // Another client wrote the policy meanwhile. The next attempt reads it.
            Ok(Err(error)) if !late || error.is_conflict() => return Err(error),
            Err(_) if !late => return Err(RemediationError::Timeout(LAST_ATTEMPT)),
            // After the deadline the finalizer is removed, whatever the error is.
            Ok(Err(_)) | Err(_) => None,
        };
        let left: Vec<String> =
            self.unfinished().iter().map(|record| record.workload().to_string()).collect();
        if left.is_empty() {
            return Ok(None);
        }
        if late {
            let note = format!("the policy is removed with unfinished work on {}", left.join(", "));
            self.tell_policy(EventType::Warning, "CleanupIncomplete", &note).await;
            return Ok(None);
        }
        // The last part starts in time, even if other work is still awaited.
        let last_part = ends.saturating_sub(self.last_part()).unwrap_or(Timestamp::MIN);
        let by = if self.is_short_of_time() { ends } else { last_part };
        Ok(Some(next.unwrap_or_else(|| self.poll()).min(by)))
    }

    /// Withdraws within the rollout budget first; near the deadline, all at once.
    async fn finish(&mut self) -> Result<Option<Timestamp>, RemediationError> {
        let next = self.go_on().await?;
        if self.is_short_of_time() {
            self.take_back_the_rest().await?;
        } else if self.reverts() {
            return Ok([next, self.revert().await?].into_iter().flatten().min());
        }
        Ok(next)
    }

    async fn is_namespace_going(&self) -> Result<bool, RemediationError> {
        let terminating = self.remediator.cluster.is_terminating(&self.namespace).await;
        Ok(terminating.map_err(StatusError::Namespace)?)
    }

    fn reverts(&self) -> bool {
        self.remediation().on_delete == OnDelete::Revert
    }

    /// Returns the records with unfinished work.
    fn unfinished(&self) -> Vec<Remediation> {
        let mut records = self.records();
        records.retain(|record| is_under_way(record) || (self.reverts() && has_patches(record)));
        records
    }

    /// Records the start of the cleanup and returns it. The time of deletion would be wrong, because no operator may
    /// have run then.
    async fn begin_cleanup(&mut self) -> Result<Timestamp, RemediationError> {
        if let Some(since) = self.cleanup_started() {
            return Ok(since);
        }
        let mut status = self.status();
        let now = self.now();
        let started = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
        set_deleting(&mut status.conditions, self.policy.metadata.generation, &started);
        status.cleanup_started = Some(started);
        let deleted = self.policy.metadata.deletion_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0);
        let since = deleted.max(self.remediator.started);
        match self.write(status).await {
            Ok(()) => Ok(now),
            // A failed write must not block the deletion of the policy forever.
            Err(_) if now.duration_since(since) > self.remediator.settings.cleanup_time => Ok(since),
            Err(error) => Err(error),
        }
    }

    fn cleanup_started(&self) -> Option<Timestamp> {
        Some(self.policy.status.as_ref()?.cleanup_started.as_ref()?.0)
    }

    /// Returns true if the cleanup is in its last part, in which rollouts are no longer awaited.
    pub(super) fn is_short_of_time(&self) -> bool {
        let time = self.remediator.settings.cleanup_time - self.last_part();
        self.policy.metadata.deletion_timestamp.is_some()
            && self.cleanup_started().is_some_and(|since| self.now().duration_since(since) > time)
    }

    fn last_part(&self) -> SignedDuration {
        self.remediator.settings.cleanup_time / LAST_PART
    }

    /// Withdraws all remaining patches at once.
    async fn take_back_the_rest(&mut self) -> Result<(), RemediationError> {
        let (reason, message) = if self.reverts() {
            (RemediationReason::Reverted, "the policy was deleted, and has no time to wait for the rollout")
        } else {
            (RemediationReason::Unwatched, "the policy was deleted, and is removed before a verdict")
        };
        let has_begun = |phase| matches!(phase, RemediationPhase::Planned | RemediationPhase::Withdrawing);
        for record in self.unfinished().iter().filter(|record| !has_begun(record.phase)) {
            self.begin_withdrawal(record, reason, message).await?;
        }
        Ok(())
    }

    /// Withdraws patches within the rollout budget.
    async fn revert(&mut self) -> Result<Option<Timestamp>, RemediationError> {
        let mut next = None;
        for record in self.records().iter().filter(|record| has_patches(record) && !is_under_way(record)) {
            match self.remediator.reserve_revert(&self.key, record).await {
                Ok(BudgetDecision::Granted) => {
                    let again = self
                        .begin_withdrawal(record, RemediationReason::Reverted, "the policy was deleted")
                        .await?;
                    next = [next, again].into_iter().flatten().min();
                }
                Ok(BudgetDecision::Wait { .. }) | Err(_) => {
                    let again = self.after(pause_for_room());
                    return Ok(Some(next.map_or(again, |next: Timestamp| next.min(again))));
                }
            }
        }
        Ok(next)
    }
}

/// Sets the conditions of a policy that is being deleted. Those of other tasks stay, such as Admission.
fn set_deleting(conditions: &mut Vec<Condition>, generation: Option<i64>, now: &Time) {
    let deleting = [ConditionType::Ready, ConditionType::Enforcing, ConditionType::Degraded];
    conditions.retain(|known| deleting.iter().all(|type_| type_.as_str() != known.type_));
    conditions.extend(deleting.map(|type_| Condition {
        type_: type_.as_str().to_owned(),
        status: "False".to_owned(),
        reason: ConditionReason::Deleting.to_string(),
        message: "the policy was deleted: finishing rollouts before its removal".to_owned(),
        observed_generation: generation,
        last_transition_time: now.clone(),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_is_being_deleted_keeps_the_conditions_of_other_tasks() {
        let now = Time(Timestamp::UNIX_EPOCH);
        let known = |type_: ConditionType| Condition {
            type_: type_.as_str().to_owned(),
            status: "True".to_owned(),
            reason: "Known".to_owned(),
            message: String::new(),
            observed_generation: Some(1),
            last_transition_time: now.clone(),
        };
        let mut conditions = vec![known(ConditionType::Ready), known(ConditionType::Admission)];
        set_deleting(&mut conditions, Some(2), &now);
        let said: Vec<_> =
            conditions.iter().map(|found| (found.type_.as_str(), found.reason.as_str())).collect();
        let deleting = [("Ready", "Deleting"), ("Enforcing", "Deleting"), ("Degraded", "Deleting")];
        assert_eq!(said, [&[("Admission", "Known")][..], &deleting].concat());
    }
}
