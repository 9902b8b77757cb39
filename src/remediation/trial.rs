//! The trial withdrawal of an incident: its beginning, and its result.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::apply::fetch;
use super::apply_error::ApplyError;
use super::connect_test::ask;
use super::enforcer::Enforcer;
use super::evidence::pods;
use super::harm::LOOK;
use crate::enforcement::harm::{Trial, Trouble};
use crate::enforcement::{BudgetDecision, recovered_pod};
use crate::policy::Remediation;
use crate::workload::{WorkloadKind, WorkloadRef};

impl Enforcer<'_> {
    /// Notes a trial in the ledger; `ports` are those of the failing probes, and `known` is the last trial so far. Without
    /// the note, its result would be unknown, so it does not begin. Neither does it if another policy was faster.
    pub(super) async fn begin_trial(
        &self,
        trouble: &Trouble,
        ports: BTreeSet<u16>,
        known: Option<&Trial>,
    ) -> bool {
        let trial = Trial::new(trouble, ports, self.now());
        let begin = self.remediator.ledger.change(|ledger| ledger.begin_trial(trial.clone(), known));
        begin.await.unwrap_or_else(|error| {
            let workload = &trouble.workload;
            warn!(%error, %workload, "failed to start the trial withdrawal of an incident; will retry");
            false
        })
    }

    /// Returns true if a withdrawal that follows a trial has no place among the rollouts of the cluster yet.
    pub(super) async fn waits_for_room(&self, record: &Remediation) -> bool {
        let reserved = self.remediator.reserve_revert(&self.key, record).await;
        matches!(reserved, Ok(BudgetDecision::Wait { .. }))
    }

    /// Returns true if the workload of a trial has recovered, and notes that in the ledger. It is asked at most once in
    /// the time between two looks, no matter how many workloads wait for the result.
    pub(super) async fn has_helped(&self, trial: &Trial) -> bool {
        let workload = WorkloadRef::new(&trial.namespace, trial.kind.clone(), &trial.name);
        if self.remediator.looked_at(&workload, LOOK).is_some() {
            return false;
        }
        match self.has_recovered(trial).await {
            Ok(true) => {}
            Ok(false) => {
                info!(%workload, "the trial withdrawal of an incident has not helped so far");
                return false;
            }
            Err(error) => {
                warn!(%error, %workload, "failed to see if the trial withdrawal of an incident helped; will retry");
                return false;
            }
        }
        if let Err(error) = self.remediator.ledger.change(|ledger| ledger.end_trial(trial)).await {
            warn!(%error, %workload, "the result of a trial withdrawal is not noted; it will be asked for again");
        }
        true
    }

    /// Returns true if all pods of a trial's workload are available, and one of them accepts a connect to the ports
    /// whose probes failed. A workload that is gone has not recovered.
    async fn has_recovered(&self, trial: &Trial) -> Result<bool, ApplyError> {
        let cluster = &self.remediator.cluster;
        let Some(kind) = WorkloadKind::find("apps/v1", &trial.kind) else { return Ok(false) };
        let Some(subject) = fetch(cluster, kind, &trial.namespace, &trial.name).await? else {
            return Ok(false);
        };
        let pods = pods(cluster, &subject).await?;
        let Some(pod) = recovered_pod(&subject, &pods) else { return Ok(false) };
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()?.parse().ok());
        Ok(ask(pod.name(), address, &trial.ports).await.is_none())
    }
}
