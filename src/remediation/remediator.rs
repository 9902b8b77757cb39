//! The shared state of enforcement: the budgets, the skipped workloads and the turns of namespaces.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use prometheus::IntCounterVec;
use tracing::warn;

use super::conflict_policy::ConflictPolicy;
use super::ledger::{LedgerError, LedgerStore};
use super::skips::SkipCache;
use super::workloads::Workloads;
use crate::cluster::{Cluster, Events};
use crate::enforcement::records::is_under_way;
use crate::enforcement::{Decision, Ledger, Limits, Request};
use crate::policies::Policies;
use crate::policy::{Remediation, SuggestedFix};
use crate::workload::PolicyRef;

/// The settings of remediation.
#[derive(Clone)]
pub struct RemediationSettings {
    /// The budgets of the whole cluster.
    pub limits: Limits,
    /// The namespace of the ledger.
    pub home: String,
    /// The time after which the conflict policy is installed again, in case somebody removed it.
    pub conflict_policy_interval: SignedDuration,
    /// The most time that a deleted policy may take to go, from when an operator first sees to it.
    pub cleanup_time: SignedDuration,
    /// The most time that new pods are watched for once they are available; tests have less of it.
    pub most_settling: Option<SignedDuration>,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

/// Patches workloads for policies, within the budgets of the cluster.
pub struct Remediator {
    pub(super) cluster: Cluster,
    pub(super) events: Arc<Events>,
    pub(super) policies: Arc<Policies>,
    pub(super) settings: RemediationSettings,
    /// Failed calls by category.
    pub(super) errors: IntCounterVec,
    pub(super) started: Timestamp,
    pub(super) ledger: LedgerStore,
    pub(super) conflict_policy: ConflictPolicy,
    workloads: Arc<Mutex<dyn Workloads>>,
    skips: Mutex<SkipCache>,
    /// One lock a namespace: its policies enforce one at a time.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Remediator {
    /// Makes a remediator that starts now. It counts failed calls in `errors`, by category.
    pub fn new(
        cluster: Cluster,
        events: Arc<Events>,
        policies: Arc<Policies>,
        workloads: Arc<Mutex<dyn Workloads>>,
        settings: RemediationSettings,
        errors: IntCounterVec,
    ) -> Self {
        let RemediationSettings { conflict_policy_interval, clock, .. } = settings;
        let conflict_policy =
            ConflictPolicy::new(cluster.clone(), Arc::clone(&policies), conflict_policy_interval, clock);
        Self {
            ledger: LedgerStore::new(cluster.clone(), &settings.home),
            started: clock(),
            conflict_policy,
            skips: Mutex::default(),
            turns: Mutex::default(),
            cluster,
            events,
            policies,
            workloads,
            settings,
            errors,
        }
    }

    /// Returns the conflict policy, which follows from what all policies need.
    pub fn conflict_policy(&self) -> &ConflictPolicy {
        &self.conflict_policy
    }

    /// Returns the patches for workloads that are managed elsewhere; none before each candidate was looked at.
    pub fn fixes(&self, policy: &PolicyRef) -> Vec<SuggestedFix> {
        self.skips().fixes(policy)
    }

    /// Forgets the skipped workloads of all other policies than these.
    pub fn keep_policies(&self, there: &BTreeSet<PolicyRef>) {
        self.skips().keep_policies(there);
    }

    /// Forgets the skipped workloads of a policy.
    pub fn forget_policy(&self, policy: &PolicyRef) {
        self.skips().forget(policy);
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.settings.clock)()
    }

    pub(super) fn workloads(&self) -> MutexGuard<'_, dyn Workloads + 'static> {
        self.workloads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn skips(&self) -> MutexGuard<'_, SkipCache> {
        self.skips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the lock of a namespace, which the policy that enforces there holds.
    pub(super) fn turn(&self, namespace: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Drop the locks of namespaces that nobody uses now: namespaces come and go.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(namespace.to_owned()).or_default())
    }

    /// Reserves a place in the budgets of the cluster.
    pub(super) async fn reserve(&self, request: &Request) -> Result<Decision, LedgerError> {
        let (now, limits) = (self.now(), self.settings.limits);
        self.ledger
            .change(|ledger| {
                self.bring_up_to_date(ledger, now);
                ledger.reserve(request, &limits, now)
            })
            .await
    }

    /// Gives back a place in the budgets that was not used.
    pub(super) async fn give_back(&self, uid: &str) {
        if let Err(error) = self.ledger.change(|ledger| ledger.give_back(uid)).await {
            warn!(%error, "a place in the budgets is not given back, and counts for an hour");
        }
    }

    /// Returns true if the budgets of the cluster have a place now, and reserves none.
    pub(super) async fn would_grant(&self, request: &Request) -> Result<Decision, LedgerError> {
        let now = self.now();
        let mut ledger = self.ledger.read().await?;
        self.bring_up_to_date(&mut ledger, now);
        Ok(ledger.reserve(request, &self.settings.limits, now))
    }

    /// Reserves a place among the rollouts of the cluster for a patch that is withdrawn because its policy was deleted.
    pub(super) async fn reserve_revert(
        &self,
        policy: &PolicyRef,
        record: &Remediation,
    ) -> Result<Decision, LedgerError> {
        let request = Request {
            policy: policy.clone(),
            policy_per_hour: u32::MAX,
            workload: record.workload().within(&policy.namespace),
            uid: record.uid.clone().unwrap_or_default(),
        };
        let (now, limits) = (self.now(), self.settings.limits);
        self.ledger
            .change(|ledger| {
                self.bring_up_to_date(ledger, now);
                ledger.reserve_revert(&request, &limits, now)
            })
            .await
    }

    /// Corrects the ledger by the records of all policies. A lost ledger is rebuilt from them, and only they tell when a
    /// rollout has ended.
    fn bring_up_to_date(&self, ledger: &mut Ledger, now: Timestamp) {
        let policies: Vec<_> =
            self.policies.all().into_iter().map(|known| (known.policy.reference(), known.policy)).collect();
        let records = || {
            policies.iter().flat_map(|(reference, policy)| {
                let records = policy.status.iter().flat_map(|status| &status.remediations);
                records.map(move |record| (reference, record))
            })
        };
        if ledger.is_empty() {
            *ledger = Ledger::recall(records(), now);
        }
        let under_way = records().filter(|(_, record)| is_under_way(record));
        let known: BTreeSet<&str> = under_way.filter_map(|(_, record)| record.uid.as_deref()).collect();
        ledger.prune_open(|grant| known.contains(grant.uid.as_str()), now);
    }
}
