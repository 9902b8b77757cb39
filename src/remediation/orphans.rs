//! Orphaned patches: fields of ours that no policy has a record of any longer, because it was deleted. The operator
//! answers for them as for those of a policy, and withdraws them if they do harm.
//!
//! The managed fields name them. The ledger has the settings of their policy and a note of each withdrawal, so a
//! restarted operator continues.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::enforcer::Enforcer;
use super::error::RemediationError;
use super::remediator::Remediator;
use crate::enforcement::{ContainerField, KINDS, KeptPatches, KeptWorkload, Note};
use crate::leader::Leadership;
use crate::policies::Policies;
use crate::policy::{
    DevOpsPolicy, DevOpsPolicySpec, DevOpsPolicyStatus, FINALIZER, Remediation, RemediationPhase,
    RemediationReason,
};
use crate::workload::{PolicyRef, WorkloadRef};

/// The time between two looks at orphaned patches. A look without a suspicion sends no request.
const LOOK: SignedDuration = SignedDuration::from_secs(15);
/// The least time between two attempts to read the ledger, for which an account that only audits has no permission.
const RECALL: SignedDuration = SignedDuration::from_mins(5);
/// The least time between two looks.
const SOON: SignedDuration = SignedDuration::from_secs(1);
/// The time limit of the steps of one namespace.
const STEPS: Duration = Duration::from_secs(30);

/// A workload with fields of ours, as a watch shows it.
#[derive(Debug, Clone)]
pub(super) struct Owned {
    pub(super) workload: WorkloadRef,
    uid: String,
    pub(super) fields: BTreeSet<ContainerField>,
    since: Option<Timestamp>,
}

/// The orphaned patches of one deleted policy in a namespace, and their withdrawals under way, as records.
#[derive(Debug, PartialEq)]
struct Orphans {
    /// The policy; its name is empty if the ledger does not know it.
    policy: PolicyRef,
    spec: DevOpsPolicySpec,
    records: Vec<Remediation>,
}

impl Remediator {
    /// Watches orphaned patches while this replica leads. Never returns.
    pub async fn watch_orphans(&self, mut leadership: Leadership) -> Infallible {
        self.policies.wait_until_listed().await;
        let mut recalled = Timestamp::MIN;
        loop {
            leadership.acquired().await;
            let mut next = self.now().saturating_add(LOOK).unwrap_or(Timestamp::MAX);
            let owned = self.owned();
            if !owned.is_empty() && self.now().duration_since(recalled) >= RECALL {
                recalled = self.now();
                self.recall().await;
            }
            for orphans in self.orphans(&owned) {
                let namespace = orphans.policy.namespace.clone();
                let mut enforcer = Enforcer::of_orphans(self, orphans);
                let steps = timeout(STEPS, Box::pin(enforcer.answer()));
                match leadership.write(steps).await {
                    Ok(Ok(Ok(again))) => next = next.min(again.unwrap_or(next)),
                    Ok(Ok(Err(error))) => {
                        warn!(namespace, %error, "failed to check orphaned patches; will retry");
                    }
                    Ok(Err(_)) => warn!(namespace, "timed out checking orphaned patches; will retry"),
                    Err(_) => break,
                }
            }
            // A refused write is repeated at the next look.
            let _ = leadership.write(self.forget_kept(&owned)).await;
            sleep(next.duration_since(self.now()).clamp(SOON, LOOK).unsigned_abs()).await;
        }
    }

    /// Returns the workloads with fields of ours, by the managed fields.
    pub(super) fn owned(&self) -> Vec<Owned> {
        let workloads = self.workloads();
        let mut found = Vec::new();
        for namespace in workloads.namespaces() {
            for object in workloads.objects(&namespace).filter(|object| KINDS.contains(&object.kind)) {
                let trace = workloads.trace(object.kind, &namespace, object.name());
                let Some(trace) = trace.filter(|trace| !trace.owned.is_empty()) else { continue };
                found.push(Owned {
                    workload: object.owner().within(&namespace),
                    uid: object.metadata.uid.as_deref().unwrap_or_default().to_owned(),
                    fields: trace.owned.clone(),
                    since: trace.owned_since,
                });
            }
        }
        found
    }

    fn orphans(&self, owned: &[Owned]) -> Vec<Orphans> {
        let policies = self.policies.all();
        // The operator is done with a policy that waits for the finalizer of another controller.
        let answering = policies.iter().map(|known| &known.policy).filter(|policy| !is_left(policy));
        let recorded: Vec<(String, &Remediation)> = answering
            .flat_map(|policy| {
                let records = policy.status.iter().flat_map(|status| &status.remediations);
                let namespace = policy.reference().namespace;
                records.map(move |record| (namespace.clone(), record))
            })
            .collect();
        orphaned(&recorded, owned, &self.ledger.notes(), &self.ledger.kept())
    }

    /// Forgets what is kept about workloads that have no field of ours any longer.
    async fn forget_kept(&self, owned: &[Owned]) {
        let kept = self.ledger.kept();
        let mut gone: BTreeSet<&str> =
            kept.iter().flat_map(|patches| patches.workloads.keys()).map(String::as_str).collect();
        for owned in owned {
            gone.remove(owned.uid.as_str());
        }
        if !gone.is_empty()
            && let Err(error) = self.ledger.change(|ledger| ledger.forget_kept(&gone)).await
        {
            debug!(%error, "failed to clear the settings of withdrawn patches; will retry");
        }
    }
}

impl<'r> Enforcer<'r> {
    /// Creates the enforcer of orphaned patches. It has the settings of their policy, or else the defaults.
    fn of_orphans(remediator: &'r Remediator, orphans: Orphans) -> Self {
        let Orphans { policy: PolicyRef { namespace, name }, spec, records } = orphans;
        let mut policy = DevOpsPolicy::new(&name, spec);
        policy.metadata.namespace = Some(namespace);
        policy.status = Some(DevOpsPolicyStatus { remediations: records, ..DevOpsPolicyStatus::default() });
        Self::with(remediator, None, Policies::compile_deleted(policy))
    }

    /// Withdraws the fields that do harm, and continues withdrawals. Returns the time of the next step.
    async fn answer(&mut self) -> Result<Option<Timestamp>, RemediationError> {
        let turn = self.remediator.turn(&self.namespace);
        let _turn = turn.lock().await;
        self.go_on().await
    }

    /// Keeps the settings of a deleted policy for the patches that stay.
    pub(super) async fn keep_patches(&self) {
        let Some(patches) = KeptPatches::of(&self.policy) else { return };
        let policy = self.policy.name_any();
        match self.remediator.ledger.change(|ledger| ledger.keep(&patches)).await {
            Ok(true) => {}
            Ok(false) => warn!(policy, "the ledger has no room for the settings of a deleted policy"),
            Err(error) => warn!(policy, %error, "the settings of a deleted policy are not kept"),
        }
    }
}

/// Returns true if a policy is being deleted, and no longer waits for the operator.
fn is_left(policy: &DevOpsPolicy) -> bool {
    let finalizers = policy.metadata.finalizers.iter().flatten();
    policy.metadata.deletion_timestamp.is_some() && !finalizers.clone().any(|name| name == FINALIZER)
}

/// Returns the fields that no record names, and the withdrawals that only a note records, by their policies.
fn orphaned(
    recorded: &[(String, &Remediation)],
    owned: &[Owned],
    notes: &[Note],
    kept: &[KeptPatches],
) -> Vec<Orphans> {
    let recorded_of = |namespace: &str, uid: &str| {
        let is_of = |(known, record): &&(String, &Remediation)| {
            known == namespace && record.uid.as_deref() == Some(uid)
        };
        recorded.iter().filter(is_of).map(|(_, record)| *record).collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    let mut add = |workload: &WorkloadRef, uid: &str, fields: &BTreeSet<ContainerField>, since| {
        let kept = kept.iter().find_map(|patches| Some((patches, patches.workloads.get(uid)?)));
        let KeptWorkload { usual_restarts, declared_ports } =
            kept.map(|(_, workload)| workload.clone()).unwrap_or_default();
        let record = Remediation { declared_ports, usual_restarts, ..record(workload, uid, fields, since) };
        let policy = kept.map(|(patches, _)| patches.policy.clone());
        let policy = policy.unwrap_or_else(|| PolicyRef::new(&workload.namespace, ""));
        if let Some(orphans) = found.iter_mut().find(|orphans: &&mut Orphans| orphans.policy == policy) {
            orphans.records.push(record);
        } else {
            let spec = kept.map(|(patches, _)| patches.spec.clone()).unwrap_or_default();
            found.push(Orphans { policy, spec, records: vec![record] });
        }
    };
    let mut seen = BTreeSet::new();
    for Owned { workload, uid, fields, since } in owned {
        let recorded = recorded_of(&workload.namespace, uid);
        let names = recorded.iter().flat_map(|record| record.fields.iter().chain(&record.earlier_fields));
        let names: BTreeSet<&str> = names.map(String::as_str).collect();
        let left = fields.iter().filter(|field| !names.contains(field.to_string().as_str()));
        let left: BTreeSet<ContainerField> = left.cloned().collect();
        if !left.is_empty() {
            seen.insert(uid.as_str());
            add(workload, uid, &left, *since);
        }
    }
    for note in notes.iter().filter(|note| !note.done && !seen.contains(note.uid.as_str())) {
        if recorded_of(&note.namespace, &note.uid).is_empty() {
            let workload = WorkloadRef::new(&note.namespace, note.kind.clone(), &note.name);
            add(&workload, &note.uid, &BTreeSet::new(), Some(note.time));
        }
    }
    found
}

/// Returns the record of an orphaned patch.
fn record(
    workload: &WorkloadRef,
    uid: &str,
    fields: &BTreeSet<ContainerField>,
    since: Option<Timestamp>,
) -> Remediation {
    Remediation {
        namespace: None,
        kind: workload.kind.clone().into_owned(),
        name: workload.name.clone(),
        uid: Some(uid.to_owned()),
        phase: RemediationPhase::Verified,
        reason: Some(RemediationReason::Verified),
        fields: fields.iter().map(ToString::to_string).collect(),
        time: since.map(Time),
        causes_hash: None,
        generation: None,
        policy_generation: None,
        message: None,
        withdrawal_refused: None,
        withdrawals: None,
        retry_after: None,
        earlier_fields: Vec::new(),
        declared_ports: Vec::new(),
        pods: None,
        usual_restarts: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(name: &str, fields: &[&str]) -> Owned {
        Owned {
            workload: WorkloadRef::new("n", "Deployment", name),
            uid: name.to_owned(),
            fields: fields.iter().map(|field| field.parse().unwrap()).collect(),
            since: Some(Timestamp::UNIX_EPOCH),
        }
    }

    fn note(name: &str, done: bool) -> Note {
        Note {
            namespace: "n".to_owned(),
            kind: "Deployment".to_owned(),
            name: name.to_owned(),
            uid: name.to_owned(),
            fields: Vec::new(),
            causes_hash: String::new(),
            time: Timestamp::UNIX_EPOCH,
            reason: RemediationReason::NotReady,
            message: String::new(),
            withdrawals: None,
            retry_after: None,
            done,
        }
    }

    fn recorded(name: &str, fields: &[&str], earlier: &[&str]) -> Remediation {
        let written = |fields: &[&str]| fields.iter().map(|field| (*field).to_owned()).collect();
        let workload = WorkloadRef::new("n", "Deployment", name);
        Remediation {
            fields: written(fields),
            earlier_fields: written(earlier),
            ..record(&workload, name, &BTreeSet::new(), None)
        }
    }

    #[test]
    fn a_field_of_ours_without_a_record_is_orphaned() {
        let known = recorded("a", &["main/livenessProbe"], &["main/startupProbe"]);
        let of = |namespace: &str, owned: Owned| {
            let found = orphaned(&[(namespace.to_owned(), &known)], &[owned], &[], &[]);
            let records = found.into_iter().flat_map(|orphans| orphans.records);
            records.flat_map(|record| record.fields).collect::<Vec<_>>()
        };
        let all = ["main/livenessProbe", "main/readinessProbe", "main/startupProbe"];
        assert_eq!(of("n", owned("a", &all)), ["main/readinessProbe"]);
        assert_eq!(of("n", owned("a", &all[..1])), [""; 0]);
        assert_eq!(of("elsewhere", owned("a", &all)).len(), 3);
        let replaced = Owned { uid: "new".to_owned(), ..owned("a", &all) };
        assert_eq!(of("n", replaced).len(), 3, "another workload of that name");
    }

    #[test]
    fn orphaned_patches_have_the_settings_that_the_ledger_kept() {
        let spec: DevOpsPolicySpec = yaml_serde::from_str("{remediation: {verifySeconds: 30}}").unwrap();
        let policy = PolicyRef::new("n", "deleted");
        let workload =
            |usual_restarts| KeptWorkload { usual_restarts, declared_ports: vec!["main/80".to_owned()] };
        let kept = KeptPatches {
            policy: policy.clone(),
            spec: spec.clone(),
            workloads: [("a", Some(2)), ("b", None)]
                .map(|(uid, usual)| (uid.to_owned(), workload(usual)))
                .into(),
        };
        let all = ["a", "b", "c"].map(|name| owned(name, &["main/livenessProbe"]));
        let found = orphaned(&[], &all, &[], &[kept]);
        let usual = |orphans: &Orphans| {
            orphans.records.iter().map(|record| record.usual_restarts).collect::<Vec<_>>()
        };
        assert_eq!(
            (&found[0].policy, &found[0].spec, usual(&found[0])),
            (&policy, &spec, vec![Some(2), None])
        );
        assert_eq!(found[0].records[0].declared_ports, ["main/80"]);
        let rest = (PolicyRef::new("n", ""), DevOpsPolicySpec::default(), vec![None]);
        assert_eq!((found[1].policy.clone(), found[1].spec.clone(), usual(&found[1])), rest);
    }

    #[test]
    fn a_withdrawal_that_only_a_note_records_goes_on_until_it_is_done() {
        let of = |recorded: &[(String, &Remediation)], notes: &[Note], owned: &[Owned]| {
            let found = orphaned(recorded, owned, notes, &[]).into_iter().flat_map(|orphans| orphans.records);
            found.map(|record| (record.name, record.fields.len())).collect::<Vec<_>>()
        };
        assert_eq!(of(&[], &[note("a", false), note("b", true)], &[]), [("a".to_owned(), 0)]);
        let once = of(&[], &[note("a", false)], &[owned("a", &["main/livenessProbe"])]);
        assert_eq!(once, [("a".to_owned(), 1)]);
        let known = recorded("a", &[], &[]);
        assert!(of(&[("n".to_owned(), &known)], &[note("a", false)], &[]).is_empty(), "its policy goes on");
    }
}
