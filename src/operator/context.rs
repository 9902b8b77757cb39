//! What the parts of the operator share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::runtime::events::Recorder;
use tokio::sync::Notify;

use super::{AuditTrail, Inventory, OperatorMetrics};
use crate::cluster::Cluster;
use crate::leader::Leadership;
use crate::policy::{DevOpsPolicy, EnforcementMode, SystemNamespaces};
use crate::rules::Severity;

/// How the operator is set up.
#[derive(Clone)]
pub struct OperatorSettings {
    /// The namespaces in which policies have no effect, that of the operator among them.
    pub system: SystemNamespaces,
    /// The least time between two audit results of a policy.
    pub audit_interval: SignedDuration,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

/// The state of a running operator.
pub struct Operator {
    pub(super) cluster: Cluster,
    pub(super) leadership: Leadership,
    pub(super) recorder: Recorder,
    pub(super) settings: OperatorSettings,
    pub(super) metrics: OperatorMetrics,
    /// Told when something changed in the inventory.
    pub(super) changed: Notify,
    inventory: Mutex<Inventory>,
    audits: Mutex<AuditTrail>,
    judged: Mutex<BTreeMap<PolicyKey, Judged>>,
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
        recorder: Recorder,
        settings: OperatorSettings,
        metrics: OperatorMetrics,
    ) -> Self {
        Self {
            cluster,
            leadership,
            recorder,
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

    /// Forgets what was judged under policies that are no more.
    pub(super) fn keep_judged(&self, there: &[Arc<DevOpsPolicy>]) {
        let there: BTreeSet<PolicyKey> = there.iter().map(|policy| key_of(policy)).collect();
        self.judged().retain(|key, _| there.contains(key));
    }

    pub(super) fn judged(&self) -> MutexGuard<'_, BTreeMap<PolicyKey, Judged>> {
        lock(&self.judged)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
