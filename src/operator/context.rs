//! What the parts of the operator share.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::runtime::reflector::Store;
use tokio::sync::Notify;
use tracing::warn;

use super::ledger::{LedgerError, LedgerStore};
use super::left_out::LeftOuts;
use super::yielding::Known;
use super::{AuditTrail, Inventory, OperatorMetrics};
use crate::cluster::{Cluster, Events};
use crate::enforcement::records::is_under_way;
use crate::enforcement::{Decision, Ledger, Limits, Request};
use crate::leader::Leadership;
use crate::policy::{DevOpsPolicy, EnforcementMode, Remediation, SystemNamespaces};
use crate::rules::Severity;

/// How the operator is set up.
#[derive(Clone)]
pub struct OperatorSettings {
    /// The namespaces in which policies have no effect, that of the operator among them.
    pub system: SystemNamespaces,
    /// The least time between two audit results of a policy.
    pub audit_interval: SignedDuration,
    /// How often what makes our fields yield is installed anew, in case that somebody removed it.
    pub yield_interval: SignedDuration,
    /// How long a deleted policy may take to go, from when an operator first sees to it.
    pub cleanup_time: SignedDuration,
    /// How much enforcement may do in the whole cluster.
    pub limits: Limits,
    /// The namespace of the operator itself, in which it keeps its ledger.
    pub home: String,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

/// The state of a running operator.
pub struct Operator {
    pub(super) cluster: Cluster,
    pub(super) leadership: Leadership,
    pub(super) events: Events,
    pub(super) settings: OperatorSettings,
    pub(super) metrics: OperatorMetrics,
    /// When it was made.
    pub(super) started: Timestamp,
    /// Told when something changed in the inventory.
    pub(super) changed: Notify,
    inventory: Mutex<Inventory>,
    audits: Mutex<AuditTrail>,
    judged: Mutex<BTreeMap<PolicyKey, Judged>>,
    pub(super) ledger: LedgerStore,
    /// What takes our fields out of others' writes, as far as it is known to be installed.
    pub(super) yielding: tokio::sync::Mutex<Option<Known>>,
    left_out: Mutex<LeftOuts>,
    policies: OnceLock<Store<DevOpsPolicy>>,
    /// Whose turn it is to enforce in a namespace.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// A policy, by namespace and name.
pub(super) type PolicyKey = (String, String);

pub(super) fn key_of(policy: &DevOpsPolicy) -> PolicyKey {
    (policy.namespace().unwrap_or_default(), policy.name_any())
}

/// What metrics tell of a policy.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) mode: EnforcementMode,
    /// The score and the violations of each severity; `None` where there is no verdict.
    pub(super) verdict: Option<(u8, BTreeMap<Severity, u64>)>,
}

impl Operator {
    /// Makes an operator that has seen nothing yet.
    pub fn new(
        cluster: Cluster,
        leadership: Leadership,
        events: Events,
        settings: OperatorSettings,
        metrics: OperatorMetrics,
    ) -> Self {
        Self {
            ledger: LedgerStore::new(cluster.clone(), &settings.home),
            started: (settings.clock)(),
            yielding: tokio::sync::Mutex::default(),
            left_out: Mutex::default(),
            policies: OnceLock::new(),
            turns: Mutex::default(),
            cluster,
            leadership,
            events,
            settings,
            metrics,
            changed: Notify::new(),
            inventory: Mutex::default(),
            audits: Mutex::default(),
            judged: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.settings.clock)()
    }

    pub(super) fn inventory(&self) -> MutexGuard<'_, Inventory> {
        lock(&self.inventory)
    }

    pub(super) fn audits(&self) -> MutexGuard<'_, AuditTrail> {
        lock(&self.audits)
    }

    /// What enforcement looked at and left as it is.
    pub(super) fn left_out(&self) -> MutexGuard<'_, LeftOuts> {
        lock(&self.left_out)
    }

    /// Says where the policies are kept.
    pub(super) fn know(&self, policies: Store<DevOpsPolicy>) {
        // There is one such place; a second call would name the same.
        let _ = self.policies.set(policies);
    }

    /// Every policy that is known.
    pub(super) fn policies(&self) -> Vec<Arc<DevOpsPolicy>> {
        self.policies.get().map_or_else(Vec::new, Store::state)
    }

    /// The policies of a namespace.
    pub(super) fn policies_in(&self, namespace: &str) -> Vec<DevOpsPolicy> {
        let all = self.policies().into_iter();
        all.filter(|policy| policy.namespace().as_deref() == Some(namespace))
            .map(Arc::unwrap_or_clone)
            .collect()
    }

    /// The right to enforce in a namespace, which one policy has at a time.
    pub(super) fn turn(&self, namespace: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = lock(&self.turns);
        // Namespaces come and go.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(namespace.to_owned()).or_default())
    }

    /// Asks for a place in the budgets of the cluster.
    pub(super) async fn reserve(&self, request: &Request<'_>) -> Result<Decision, LedgerError> {
        let (now, limits) = (self.now(), self.settings.limits);
        self.ledger
            .change(|ledger| {
                self.bring_up_to_date(ledger, now);
                ledger.reserve(request, &limits, now)
            })
            .await
    }

    /// Gives a place in the budgets back that nothing came of.
    pub(super) async fn give_back(&self, uid: &str) {
        if let Err(error) = self.ledger.change(|ledger| ledger.give_back(uid)).await {
            warn!(%error, "a place in the budgets is not given back, and counts for an hour");
        }
    }

    /// Asks whether there would be a place in the budgets of the cluster, and takes none.
    pub(super) async fn would_grant(&self, request: &Request<'_>) -> Result<Decision, LedgerError> {
        let now = self.now();
        let mut ledger = self.ledger.read().await?;
        self.bring_up_to_date(&mut ledger, now);
        Ok(ledger.reserve(request, &self.settings.limits, now))
    }

    /// Asks for a place among the rollouts of the cluster, for a patch that is taken back with its policy.
    pub(super) async fn reserve_revert(
        &self,
        namespace: &str,
        policy: &DevOpsPolicy,
        record: &Remediation,
    ) -> Result<Decision, LedgerError> {
        let name = policy.name_any();
        let request = Request {
            namespace,
            policy: &name,
            policy_per_hour: u32::MAX,
            kind: &record.kind,
            name: &record.name,
            uid: record.uid.as_deref().unwrap_or_default(),
        };
        let (now, limits) = (self.now(), self.settings.limits);
        self.ledger
            .change(|ledger| {
                self.bring_up_to_date(ledger, now);
                ledger.reserve_revert(&request, &limits, now)
            })
            .await
    }

    /// Corrects the ledger by what the policies' records tell: one that was lost is made anew of them, and of what is
    /// under way they alone know the end.
    fn bring_up_to_date(&self, ledger: &mut Ledger, now: Timestamp) {
        let policies: Vec<_> = self.policies().into_iter().map(|policy| (key_of(&policy), policy)).collect();
        let records = || {
            policies.iter().flat_map(|((namespace, name), policy)| {
                let records = policy.status.iter().flat_map(|status| &status.remediations);
                records.map(move |record| (namespace.as_str(), name.as_str(), record))
            })
        };
        if ledger.is_empty() {
            *ledger = Ledger::recall(records(), now);
        }
        let under_way = records().filter(|(.., record)| is_under_way(record));
        let known: BTreeSet<&str> = under_way.filter_map(|(.., record)| record.uid.as_deref()).collect();
        ledger.prune_open(|grant| known.contains(grant.uid.as_str()), now);
    }

    /// Forgets what was judged and looked at under policies that are no more.
    pub(super) fn keep_policies(&self, there: &[Arc<DevOpsPolicy>]) {
        let there: BTreeSet<PolicyKey> = there.iter().map(|policy| key_of(policy)).collect();
        self.judged().retain(|key, _| there.contains(key));
        self.left_out().keep_policies(&there);
    }

    /// Forgets what was judged and looked at under a policy that is no more.
    pub(super) fn forget_policy(&self, policy: &PolicyKey) {
        self.judged().remove(policy);
        self.left_out().forget(policy);
    }

    pub(super) fn judged(&self) -> MutexGuard<'_, BTreeMap<PolicyKey, Judged>> {
        lock(&self.judged)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
