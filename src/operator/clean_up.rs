//! The end of a policy: what is under way is brought to an end, and where the policy asks for it every patch is taken
//! back, before the finalizer goes.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use kube::runtime::events::EventType;

use super::ReconcileError;
use super::enforcer::{Enforcer, label};
use crate::enforcement::Decision;
use crate::enforcement::records::{self, has_patches, is_under_way};
use crate::policy::{OnDelete, Remediation, RemediationPhase};

/// How long a deleted policy may take to go.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

impl Enforcer<'_> {
    /// Goes on with the end of the policy; returns when to look again, and `None` when it may go.
    pub(super) async fn clean_up(&mut self) -> Result<Option<Timestamp>, ReconcileError> {
        let next = self.wind_up().await?;
        if next.is_none() {
            // It may have been the last one that enforced.
            self.operator.yield_where_patched().await;
        }
        Ok(next)
    }

    async fn wind_up(&mut self) -> Result<Option<Timestamp>, ReconcileError> {
        if self.records().is_empty() || self.namespace_is_going().await? {
            return Ok(None);
        }
        let deleted = self.policy.metadata.deletion_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0);
        let late = self.now().duration_since(deleted) > PATIENCE;
        let mut next = self.go_on().await?;
        let reverts = self.remediation().on_delete == OnDelete::Revert;
        if late {
            self.withdraw_unverified().await?;
        } else if reverts {
            next = [next, self.revert().await?].into_iter().flatten().min();
        }
        let unfinished = |record: &&Remediation| is_under_way(record) || (reverts && has_patches(record));
        let left: Vec<String> = self.records().iter().filter(unfinished).map(label).collect();
        if left.is_empty() {
            return Ok(None);
        }
        if late {
            let note = format!("the policy goes with its work unfinished on {}", left.join(", "));
            self.tell_policy(EventType::Warning, "CleanupIncomplete", &note).await;
            return Ok(None);
        }
        Ok(Some(next.unwrap_or_else(|| self.poll())))
    }

    /// Takes back what nobody will watch any more.
    async fn withdraw_unverified(&mut self) -> Result<(), ReconcileError> {
        for record in self.records().iter().filter(|record| record.phase == RemediationPhase::Applied) {
            let message = "the policy was deleted, and goes before there is a verdict";
            self.begin_withdrawal(record, records::UNWATCHED, message).await?;
        }
        Ok(())
    }

    /// Takes back what is in place, as many at a time as may roll out.
    async fn revert(&mut self) -> Result<Option<Timestamp>, ReconcileError> {
        for record in self.records().iter().filter(|record| has_patches(record) && !is_under_way(record)) {
            match self.operator.reserve_revert(&self.namespace, &self.policy, record).await {
                Ok(Decision::Granted) => {
                    self.begin_withdrawal(record, records::REVERTED, "the policy was deleted").await?;
                }
                Ok(Decision::Wait { .. }) | Err(_) => break,
            }
        }
        Ok(Some(self.poll()))
    }

    /// Tells whether the namespace is being deleted, and everything in it.
    async fn namespace_is_going(&self) -> Result<bool, ReconcileError> {
        let namespaces = Api::<Namespace>::all(self.operator.cluster.client.clone());
        match self.operator.cluster.call(async |_| namespaces.get_opt(&self.namespace).await).await {
            Ok(namespace) => Ok(namespace.is_none_or(|found| found.metadata.deletion_timestamp.is_some())),
            Err(error) if error.code() == Some(403) => Ok(false),
            Err(source) => Err(ReconcileError::Write { action: "look at the namespace", source }),
        }
    }
}
