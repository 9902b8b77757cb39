//! The shared state of enforcement: the budgets, the skipped workloads and the turns of namespaces.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use prometheus::IntCounterVec;
use tracing::{debug, warn};

use super::conflict_policy::ConflictPolicy;
use super::connect_results::ConnectResults;
use super::enforcement_state::EnforcementState;
use super::ledger::{LedgerError, LedgerStore};
use super::metrics::RemediationMetrics;
use super::skips::SkipCache;
use super::workload_source::WorkloadSource;
use crate::cluster::{Cluster, Events};
use crate::enforcement::records::{has_patches, is_under_way};
use crate::enforcement::{BudgetDecision, ContainerField, Fairness, Ledger, Limits, Request};
use crate::policies::Policies;
use crate::policy::{DevOpsPolicy, Remediation, SkipReason, SuggestedFix};
use crate::workload::{PolicyRef, WorkloadRef};

/// The least time between two notes of a rollout's progress.
const PROGRESS: SignedDuration = SignedDuration::from_mins(2);

/// The settings of remediation.
#[derive(Clone)]
pub struct RemediationSettings {
    /// The budgets of the whole cluster.
    pub limits: Limits,
    /// The namespace of the ledger.
    pub home: String,
    /// The interval after which the conflict policy is installed again, in case another client removed it.
    pub conflict_policy_interval: SignedDuration,
    /// The maximum duration of the cleanup of a deleted policy, from its start by an operator.
    pub cleanup_time: SignedDuration,
    /// The maximum time for which available new pods are watched; tests shorten it.
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
    workloads: Arc<Mutex<dyn WorkloadSource>>,
    skips: Mutex<SkipCache>,
    connect_results: Mutex<ConnectResults>,
    fairness: Mutex<Fairness>,
    /// The time at which the evidence about a workload was last read.
    looks: Mutex<HashMap<WorkloadRef, Timestamp>>,
    /// The incident that each policy is held up by, in words.
    incidents: Mutex<HashMap<PolicyRef, String>>,
    /// The progress of rollouts that was noted in the ledger last, by the workload's uid.
    progress: Mutex<HashMap<String, (usize, Timestamp)>>,
    /// One lock per namespace, so that its policies enforce one at a time.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Remediator {
    /// Creates a remediator that starts now. It counts failed calls in `errors`, by category, and exports its totals in
    /// `metrics`.
    pub fn new(
        cluster: Cluster,
        events: Arc<Events>,
        policies: Arc<Policies>,
        workloads: Arc<Mutex<dyn WorkloadSource>>,
        settings: RemediationSettings,
        errors: IntCounterVec,
        metrics: RemediationMetrics,
    ) -> Self {
        let RemediationSettings { conflict_policy_interval, clock, .. } = settings;
        let conflict_policy =
            ConflictPolicy::new(cluster.clone(), Arc::clone(&policies), conflict_policy_interval, clock);
        Self {
            ledger: LedgerStore::new(cluster.clone(), &settings.home).with_metrics(metrics),
            started: clock(),
            conflict_policy,
            skips: Mutex::default(),
            connect_results: Mutex::default(),
            fairness: Mutex::default(),
            progress: Mutex::default(),
            looks: Mutex::default(),
            incidents: Mutex::default(),
            turns: Mutex::default(),
            cluster,
            events,
            policies,
            workloads,
            settings,
            errors,
        }
    }

    /// Returns the conflict policy, which serves every DevOpsPolicy.
    pub fn conflict_policy(&self) -> &ConflictPolicy {
        &self.conflict_policy
    }

    /// Returns the patches for managers of workloads; empty until every candidate was checked.
    pub fn fixes(&self, policy: &PolicyRef) -> Vec<SuggestedFix> {
        self.skips().fixes(policy)
    }

    /// Removes the skipped workloads of all policies but these.
    pub fn keep_policies(&self, there: &BTreeSet<PolicyRef>) {
        self.skips().keep_policies(there);
    }

    /// Removes the skipped workloads of a policy.
    pub fn forget_policy(&self, policy: &PolicyRef) {
        self.skips().forget(policy);
    }

    /// Returns the state of enforcement of a cluster policy in its namespaces together.
    pub async fn cluster_state(
        &self,
        policy: &DevOpsPolicy,
        namespaces: &BTreeSet<String>,
    ) -> EnforcementState {
        let mut skipped: BTreeMap<SkipReason, (usize, String)> = BTreeMap::new();
        let (mut held_up_by, mut incident) = (None, None);
        for namespace in namespaces {
            let within = PolicyRef::new(namespace, policy.name_any());
            for (reason, (count, example)) in self.skips().reasons(&within) {
                skipped.entry(reason).or_insert_with(|| (0, format!("{namespace}/{example}"))).0 += count;
            }
            held_up_by = held_up_by.or_else(|| self.skips().held_up_by(&within));
            incident = incident.or_else(|| self.incident(&within));
        }
        let conflict_policy = self.conflict_policy.state().await;
        let state = EnforcementState::of(policy, &skipped, held_up_by.as_deref(), conflict_policy.as_ref());
        EnforcementState { incident, ..state }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.settings.clock)()
    }

    pub(super) fn workloads(&self) -> MutexGuard<'_, dyn WorkloadSource + 'static> {
        self.workloads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn skips(&self) -> MutexGuard<'_, SkipCache> {
        self.skips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connect_results(&self) -> MutexGuard<'_, ConnectResults> {
        self.connect_results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the lock of a namespace. The policy that enforces there holds it.
    pub(super) fn turn(&self, namespace: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Locks of unused namespaces are dropped.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(namespace.to_owned()).or_default())
    }

    /// Reserves a place in the budgets of the cluster.
    pub(super) async fn reserve(&self, request: &Request) -> Result<BudgetDecision, LedgerError> {
        let (now, limits) = (self.now(), self.settings.limits);
        let reserved = self
            .ledger
            .change(|ledger| {
                self.bring_up_to_date(ledger, now);
                ledger.reserve(request, &limits, now)
            })
            .await;
        if matches!(reserved, Ok(BudgetDecision::Granted)) {
            self.fairness().leave(&request.workload.namespace);
        }
        reserved
    }

    /// Reads the ledger if nothing of it is known yet, so that metrics go on with its totals.
    pub(super) async fn recall(&self) {
        if !self.ledger.is_known()
            && let Err(error) = self.ledger.read().await
        {
            debug!(%error, "the ledger is not read yet");
        }
    }

    /// Returns an unused place to the budgets.
    pub(super) async fn give_back(&self, uid: &str) {
        if let Err(error) = self.ledger.change(|ledger| ledger.give_back(uid)).await {
            warn!(%error, "a place in the budgets is not given back, and counts for an hour");
        }
    }

    /// Returns true if the budgets of the cluster have a place now and it is the namespace's turn, without reserving
    /// it.
    pub(super) async fn would_grant(&self, request: &Request) -> Result<BudgetDecision, LedgerError> {
        let (now, limits) = (self.now(), self.settings.limits);
        let mut ledger = self.ledger.read().await?;
        self.bring_up_to_date(&mut ledger, now);
        let mut after = ledger.clone();
        let decision = after.reserve(request, &limits, now);
        let (before, namespace) = (ledger.occupied(), &request.workload.namespace);
        if decision == BudgetDecision::Granted && after.open().count() == ledger.open().count() {
            // It has its place already.
            return Ok(decision);
        }
        let unlimited = Limits { rollouts: u32::MAX, ..limits };
        if decision != BudgetDecision::Granted
            && ledger.clone().reserve(request, &unlimited, now) != BudgetDecision::Granted
        {
            // It waits for something else, and others need not wait for it.
            self.fairness().leave(namespace);
            return Ok(decision);
        }
        let free = match decision {
            BudgetDecision::Granted => (limits.rollouts as usize + 1).saturating_sub(after.occupied()),
            BudgetDecision::Wait { .. } => 0,
        };
        let is_next = self.fairness().ask(namespace, free, |other| ledger.last_grant(other), now);
        if decision == BudgetDecision::Granted && !is_next {
            let reason = format!(
                "{before} workloads of the cluster are rolling out, and other namespaces come first \
                 (--max-rollouts {})",
                limits.rollouts
            );
            return Ok(BudgetDecision::Wait { until: None, reason });
        }
        Ok(decision)
    }

    /// Returns the workloads that have fields of ours, by the records of all policies and by the managed fields, each
    /// with its fields. There are none for a patch that is under way, because its new pods have a verdict of their own.
    pub(super) fn patched(&self) -> BTreeMap<WorkloadRef, BTreeSet<ContainerField>> {
        let owned = self.owned().into_iter().map(|owned| (owned.workload, owned.fields));
        let mut patched: BTreeMap<_, _> = owned.collect();
        for known in self.policies.all() {
            let namespace = known.policy.reference().namespace;
            for record in known.policy.status.iter().flat_map(|status| &status.remediations) {
                let workload = || record.workload().within(&namespace);
                if is_under_way(record) {
                    patched.insert(workload(), BTreeSet::new());
                } else if has_patches(record) {
                    patched.entry(workload()).or_default();
                }
            }
        }
        patched
    }

    /// Records a check of the evidence about a workload. Returns the time of the next check if the last was recent.
    pub(super) fn looked_at(&self, workload: &WorkloadRef, pause: SignedDuration) -> Option<Timestamp> {
        let now = self.now();
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|_, last| now.duration_since(*last) < pause);
        if let Some(last) = looks.get(workload) {
            return last.checked_add(pause).ok();
        }
        looks.insert(workload.clone(), now);
        None
    }

    /// Notes the incident that holds a policy up, or that there is none.
    pub(super) fn note_incident(&self, policy: &PolicyRef, incident: Option<String>) {
        let mut incidents = self.incidents.lock().unwrap_or_else(PoisonError::into_inner);
        match incident {
            Some(words) => incidents.insert(policy.clone(), words),
            None => incidents.remove(policy),
        };
    }

    /// Returns the incident that holds a policy up.
    pub(super) fn incident(&self, policy: &PolicyRef) -> Option<String> {
        self.incidents.lock().unwrap_or_else(PoisonError::into_inner).get(policy).cloned()
    }

    /// Returns true if the progress of a rollout is worth a note in the ledger: it has more ready pods than were noted.
    pub(super) fn notes_progress(&self, uid: &str, ready: usize, at: Timestamp) -> bool {
        let mut noted = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        // A rollout that made no progress for an hour is over, or stalled.
        noted.retain(|_, (_, last)| self.now().duration_since(*last) < SignedDuration::from_hours(1));
        let is_new =
            noted.get(uid).is_none_or(|(most, last)| ready > *most && at.duration_since(*last) >= PROGRESS);
        if is_new {
            noted.insert(uid.to_owned(), (ready, at));
        }
        is_new
    }

    fn fairness(&self) -> MutexGuard<'_, Fairness> {
        self.fairness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the withdrawal of a harmful patch a place among the rollouts of the cluster, even if none is free.
    pub(super) async fn take_place(
        &self,
        policy: &PolicyRef,
        record: &Remediation,
    ) -> Result<(), LedgerError> {
        let request = revert_of(policy, record);
        let (now, limits) = (self.now(), self.settings.limits);
        self.ledger
            .change(|ledger| {
                self.bring_up_to_date(ledger, now);
                ledger.take_place(&request, &limits, now);
            })
            .await
    }

    /// Reserves a place among the rollouts of the cluster for the withdrawal of a verified patch.
    pub(super) async fn reserve_revert(
        &self,
        policy: &PolicyRef,
        record: &Remediation,
    ) -> Result<BudgetDecision, LedgerError> {
        let request = revert_of(policy, record);
        let (now, limits) = (self.now(), self.settings.limits);
        self.ledger
            .change(|ledger| {
                self.bring_up_to_date(ledger, now);
                ledger.reserve_revert(&request, &limits, now)
            })
            .await
    }

    /// Corrects the ledger by the records of all policies. A lost ledger is rebuilt from them, and only they show the
    /// end of a rollout.
    fn bring_up_to_date(&self, ledger: &mut Ledger, now: Timestamp) {
        let policies: Vec<_> =
            self.policies.all().into_iter().map(|known| (known.policy.reference(), known.policy)).collect();
        let records = || {
            policies.iter().flat_map(|(reference, policy)| {
                let records = policy.status.iter().flat_map(|status| &status.remediations);
                records.map(move |record| (reference, record))
            })
        };
        if ledger.is_new() {
            *ledger = Ledger::recall(records(), now);
        }
        let under_way = records().filter(|(_, record)| is_under_way(record));
        let known: BTreeSet<&str> = under_way.filter_map(|(_, record)| record.uid.as_deref()).collect();
        ledger.prune_open(|grant| known.contains(grant.uid.as_str()), now);
    }
}

/// Returns the request to withdraw a verified patch.
fn revert_of(policy: &PolicyRef, record: &Remediation) -> Request {
    Request {
        policy: policy.clone(),
        policy_per_hour: u32::MAX,
        workload: record.workload().within(&policy.namespace),
        uid: record.uid.clone().unwrap_or_default(),
    }
}
