//! The state that the parts of the operator share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::api::ObjectMeta;
use tokio::sync::{Notify, watch};

use super::cluster_evaluations::{CLUSTER, ClusterEvaluations};
use super::known_reports::KnownReports;
use super::native_admission::NativeAdmission;
use super::{AdmissionState, AuditTrail, Inventory, OperatorMetrics};
use crate::cluster::{Cluster, Events};
use crate::enforcement::{Service, Trace};
use crate::governance::AnnotatedExemptions;
use crate::leader::Leadership;
use crate::manifests::AdmissionSettings;
use crate::policies::Policies;
use crate::policy::{CompiledPolicy, EnforcementMode, SystemNamespaces};
use crate::remediation::{PodHealth, RemediationSettings, Remediator, WorkloadSource};
use crate::rules::Severity;
use crate::workload::{Fields, Kind, Kinds, PolicyRef, Workload, WorkloadKind};

/// The settings of the operator.
#[derive(Clone)]
pub struct OperatorSettings {
    /// The namespaces in which policies have no effect, including the operator's own.
    pub system: SystemNamespaces,
    /// The namespaces to work in; empty for all of them.
    pub namespaces: Vec<String>,
    /// The minimum time between two audit results of a policy.
    pub audit_interval: SignedDuration,
    /// The name of the cluster in audit results.
    pub cluster_name: Option<String>,
    /// The minimum time between two writes of the same OpenReports `Report`; `None` to keep no reports.
    pub report_interval: Option<SignedDuration>,
    /// The admission policies that native admission relies on; `None` without it.
    pub admission: Option<AdmissionSettings>,
    /// The settings of remediation, with the clock.
    pub remediation: RemediationSettings,
}

/// The state of a running operator.
pub struct Operator {
    pub(super) cluster: Cluster,
    pub(super) namespaces: Vec<String>,
    pub(super) leadership: Leadership,
    pub(super) events: Arc<Events>,
    pub(super) metrics: OperatorMetrics,
    pub(super) policies: Arc<Policies>,
    pub(super) remediator: Remediator,
    pub(super) native: Option<NativeAdmission>,
    pub(super) audit_interval: SignedDuration,
    pub(super) cluster_name: Option<String>,
    /// Notified after a change of the inventory.
    pub(super) changed: Notify,
    /// The fields of pods and workloads that rules of policies read; `None` until the policies were listed.
    fields: watch::Sender<Option<Fields>>,
    /// The kinds that rules of policies read beside pods and workloads. They are followed while that is so.
    related_kinds: watch::Sender<Kinds>,
    /// The kinds that rules of cluster policies about objects without a namespace read.
    cluster_kinds: watch::Sender<Kinds>,
    clock: fn() -> Timestamp,
    inventory: Arc<Mutex<Inventory>>,
    audits: Mutex<AuditTrail>,
    /// The reports; `None` if none are kept.
    reports: Option<Mutex<KnownReports>>,
    /// True once all Namespaces were listed.
    namespaces_listed: AtomicBool,
    evaluated: Mutex<BTreeMap<PolicyRef, EvaluatedPolicy>>,
    cluster_evaluations: Mutex<ClusterEvaluations>,
}

/// The last evaluation of a policy, for metrics.
#[derive(Debug, Clone)]
pub(super) struct EvaluatedPolicy {
    pub(super) mode: EnforcementMode,
    /// The score and the violations of each severity; `None` without one.
    pub(super) evaluation: Option<(u8, BTreeMap<Severity, u64>)>,
}

impl Operator {
    /// Creates an operator with empty caches.
    pub fn new(
        cluster: Cluster,
        leadership: Leadership,
        events: Events,
        settings: OperatorSettings,
        metrics: OperatorMetrics,
    ) -> Self {
        let OperatorSettings {
            system,
            namespaces,
            audit_interval,
            cluster_name,
            report_interval,
            admission,
            remediation,
        } = settings;
        let clock = remediation.clock;
        let events = Arc::new(events);
        let policies = Arc::new(Policies::new(system));
        let inventory = Arc::new(Mutex::new(Inventory::default()));
        let remediator = Remediator::new(
            cluster.clone(),
            Arc::clone(&events),
            Arc::clone(&policies),
            Arc::clone(&inventory) as Arc<Mutex<dyn WorkloadSource>>,
            remediation,
            metrics.errors.clone(),
            metrics.remediation.clone(),
        );
        let native = admission.map(|settings| {
            NativeAdmission::new(cluster.clone(), Arc::clone(&events), Arc::clone(&policies), settings, clock)
        });
        Self {
            native,
            cluster,
            namespaces,
            leadership,
            events,
            metrics,
            policies,
            remediator,
            audit_interval,
            cluster_name,
            changed: Notify::new(),
            fields: watch::Sender::default(),
            related_kinds: watch::Sender::default(),
            cluster_kinds: watch::Sender::default(),
            clock,
            inventory,
            audits: Mutex::default(),
            reports: report_interval.map(|interval| Mutex::new(KnownReports::new(interval))),
            namespaces_listed: AtomicBool::new(false),
            evaluated: Mutex::default(),
            cluster_evaluations: Mutex::default(),
        }
    }

    /// Returns the namespace of each watch; `None` for a watch of all namespaces.
    pub(super) fn scopes(&self) -> Vec<Option<String>> {
        if self.namespaces.is_empty() {
            vec![None]
        } else {
            self.namespaces.iter().cloned().map(Some).collect()
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) fn inventory(&self) -> MutexGuard<'_, Inventory> {
        lock(&self.inventory)
    }

    pub(super) fn audits(&self) -> MutexGuard<'_, AuditTrail> {
        lock(&self.audits)
    }

    pub(super) fn reports(&self) -> Option<MutexGuard<'_, KnownReports>> {
        self.reports.as_ref().map(lock)
    }

    /// Records that all Namespaces were listed.
    pub(super) fn set_namespaces_listed(&self) {
        self.namespaces_listed.store(true, Ordering::Relaxed);
    }

    /// Returns true if all Namespaces were listed once.
    pub(super) fn knows_namespaces(&self) -> bool {
        self.namespaces_listed.load(Ordering::Relaxed)
    }

    pub(super) fn evaluated(&self) -> MutexGuard<'_, BTreeMap<PolicyRef, EvaluatedPolicy>> {
        lock(&self.evaluated)
    }

    pub(super) fn cluster_evaluations(&self) -> MutexGuard<'_, ClusterEvaluations> {
        lock(&self.cluster_evaluations)
    }

    /// Returns the state of native admission in a namespace.
    pub(super) fn admission(&self, namespace: &str) -> AdmissionState {
        self.native.as_ref().map_or(AdmissionState::Off, |native| native.state(namespace))
    }

    /// Returns the time until which a reconcile waits for verdicts that are about to be written on Namespaces; `None` if it
    /// need not wait. The policies of a namespace are woken when its verdict is written.
    pub(super) fn awaits_verdicts<'n>(
        &self,
        namespaces: impl IntoIterator<Item = &'n String>,
    ) -> Option<Timestamp> {
        self.native.as_ref()?.awaited(namespaces)
    }

    /// Makes the verdict of a namespace due.
    pub(super) fn wake_admission(&self, namespace: &str) {
        if let Some(native) = &self.native {
            native.wake(namespace);
        }
    }

    /// Follows the fields of pods and workloads that rules of policies read.
    pub(super) fn fields(&self) -> watch::Receiver<Option<Fields>> {
        self.fields.subscribe()
    }

    /// Follows the kinds that rules of policies read beside pods and workloads.
    pub(super) fn related_kinds(&self) -> watch::Receiver<Kinds> {
        self.related_kinds.subscribe()
    }

    /// Takes the kinds and fields of objects that rules read from the policies.
    pub(super) fn note_reads(&self) {
        let policies = self.policies.all();
        let policies =
            policies.iter().filter(|one| !self.policies.is_system(&one.policy.reference().namespace));
        let effective = policies.filter_map(|policy| policy.effective.as_ref().ok());
        let (mut fields, mut related) = (Fields::Default, Kinds::default());
        for rules in effective {
            fields = fields.union(rules.fields_of_stored());
            related = related.union(rules.follows());
        }
        let mut of_cluster = Kinds::default();
        for policy in self.policies.cluster_names().iter().filter_map(|name| self.policies.cluster(name)) {
            let rules = policy.compiled.effective.ok().and_then(|rules| rules.about_cluster());
            of_cluster = of_cluster.union(rules.map_or(Kinds::default(), |rules| rules.reads()));
        }
        related = related.union(of_cluster);
        self.cluster_kinds.send_replace(of_cluster);
        let fields = Some(fields);
        self.fields.send_if_modified(|known| std::mem::replace(known, fields) != fields);
        self.related_kinds.send_if_modified(|known| std::mem::replace(known, related) != related);
    }

    /// Wakes the policies with a rule that reads a kind: those of one namespace, or all.
    pub(super) fn wake_readers(&self, kind: Kind, namespace: Option<&str>) {
        let policies = match namespace {
            Some(namespace) => self.policies.in_namespace(namespace),
            None => self.policies.all(),
        };
        let reads = |policy: &CompiledPolicy| {
            policy.effective.as_ref().is_ok_and(|rules| rules.follows().contains(kind))
        };
        let mut inventory = self.inventory();
        for policy in policies.iter().filter(|policy| reads(policy)) {
            inventory.note_change(&policy.policy.reference().namespace);
        }
        if self.cluster_kinds.borrow().contains(kind) {
            inventory.note_change(CLUSTER);
        }
        drop(inventory);
        self.changed.notify_one();
    }

    /// Wakes the policies of a namespace.
    pub(super) fn wake_policies(&self, namespace: &str) {
        self.inventory().note_change(namespace);
        self.changed.notify_one();
    }

    /// Wakes the cluster policy that owns an audit result or a report, if it does not select the namespace.
    pub(super) fn wake_owner_elsewhere(&self, metadata: &ObjectMeta) {
        let namespace = metadata.namespace.as_deref().unwrap_or(CLUSTER);
        let owners = metadata.owner_references.iter().flatten();
        for owner in owners.filter(|owner| owner.kind == "ClusterDevOpsPolicy") {
            let policy = PolicyRef::cluster(&owner.name);
            if self.policies.get(&PolicyRef::new(namespace, &*policy.name)).is_none() {
                self.cluster_evaluations().wake(&policy);
                self.changed.notify_one();
            }
        }
    }

    /// Removes the evaluations and skipped workloads of all policies but these.
    pub(super) fn keep_policies(&self, there: &BTreeSet<PolicyRef>) {
        self.evaluated().retain(|policy, _| there.contains(policy));
        self.remediator.keep_policies(there);
    }

    /// Removes the evaluation and the skipped workloads of a policy.
    pub(super) fn forget_policy(&self, policy: &PolicyRef) {
        self.evaluated().remove(policy);
        self.remediator.forget_policy(policy);
    }
}

impl WorkloadSource for Inventory {
    fn objects<'w>(&'w self, namespace: &'w str) -> Box<dyn Iterator<Item = &'w Workload<'static>> + 'w> {
        Box::new(Self::objects(self, namespace))
    }

    fn get(&self, kind: WorkloadKind, namespace: &str, name: &str) -> Option<&Workload<'static>> {
        Self::get(self, kind, namespace, name)
    }

    fn trace(&self, kind: WorkloadKind, namespace: &str, name: &str) -> Option<&Trace> {
        Self::trace(self, kind, namespace, name)
    }

    fn exemptions(&self, namespace: &str) -> AnnotatedExemptions {
        Self::exemptions(self, namespace)
    }

    fn services(&self, namespace: &str) -> Vec<Service> {
        Self::services(self, namespace)
    }

    fn namespaces(&self) -> Vec<String> {
        Self::namespaces(self)
    }

    fn health(&self, namespace: &str, name: &str) -> Option<&PodHealth> {
        self.health.pod(namespace, name)
    }

    fn refused(&self, kind: WorkloadKind, namespace: &str, name: &str) -> Option<Timestamp> {
        self.health.refused(kind, namespace, name)
    }

    fn seen_since(&self, namespace: &str) -> Option<Timestamp> {
        self.health.since(namespace)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
