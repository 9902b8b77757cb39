//! The patches that stay after their policy is deleted. The ledger keeps what only the policy knew: its settings, and
//! the usual restarts and the declared ports of each workload. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::enforcement::records::has_patches;
use crate::policy::{DevOpsPolicy, DevOpsPolicySpec, Remediation, RemediationSpec};
use crate::workload::PolicyRef;

/// The patches of a deleted policy that stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptPatches {
    /// The policy.
    pub policy: PolicyRef,
    /// Its settings that bear on the patches: `verifySeconds`, `defaultProbe` and `defaultResources`.
    pub spec: DevOpsPolicySpec,
    /// The workloads, by their uids.
    pub workloads: BTreeMap<String, KeptWorkload>,
}

/// The facts about a workload that only the record of its patch had.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptWorkload {
    /// The restarts per hour before the patch.
    pub usual_restarts: Option<i32>,
    /// The declared ports to which our probes connect, as `container/port`.
    pub declared_ports: Vec<String>,
}

impl KeptPatches {
    /// Returns the patches that stay after a policy; `None` if there are none.
    pub fn of(policy: &DevOpsPolicy) -> Option<Self> {
        let records = policy.status.iter().flat_map(|status| &status.remediations);
        let kept = records.filter(|record| has_patches(record));
        let workload = |record: &Remediation| KeptWorkload {
            usual_restarts: record.usual_restarts,
            declared_ports: record.declared_ports.clone(),
        };
        let workloads: BTreeMap<_, _> =
            kept.filter_map(|record| Some((record.uid.clone()?, workload(record)))).collect();
        let DevOpsPolicySpec { default_probe, default_resources, remediation, .. } = policy.spec.clone();
        let verify_seconds = remediation.unwrap_or_default().verify_seconds;
        let remediation = Some(RemediationSpec { verify_seconds, ..RemediationSpec::default() });
        let spec =
            DevOpsPolicySpec { default_probe, default_resources, remediation, ..DevOpsPolicySpec::default() };
        (!workloads.is_empty()).then(|| Self { policy: policy.reference(), spec, workloads })
    }
}

impl Ledger {
    /// Keeps the settings of a deleted policy for the patches that stay. Returns false and changes nothing if there is no
    /// room.
    pub fn keep(&mut self, patches: &KeptPatches) -> bool {
        let mut next = self.clone();
        next.forget_kept(&patches.workloads.keys().map(String::as_str).collect());
        next.kept.push(patches.clone());
        let has_room = next.is_short();
        if has_room {
            *self = next;
        }
        has_room
    }

    /// Returns the patches that stay after their policies.
    pub fn kept(&self) -> &[KeptPatches] {
        &self.kept
    }

    /// Forgets workloads that have no such patch any longer, by their uids.
    pub fn forget_kept(&mut self, gone: &BTreeSet<&str>) {
        for patches in &mut self.kept {
            patches.workloads.retain(|uid, _| !gone.contains(uid.as_str()));
        }
        self.kept.retain(|patches| !patches.workloads.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(records: &serde_json::Value) -> DevOpsPolicy {
        let spec = json!({
            "requireLivenessProbe": true, "defaultProbe": { "tcpPort": 80 },
            "remediation": { "verifySeconds": 30, "maxPerHour": 7 },
        });
        let conditions = json!([]);
        serde_json::from_value(json!({
            "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy",
            "metadata": { "name": "p", "namespace": "n" },
            "spec": spec, "status": { "remediations": records, "conditions": conditions },
        }))
        .unwrap()
    }

    fn record(uid: &str, phase: &str) -> serde_json::Value {
        json!({ "kind": "Deployment", "name": uid, "uid": uid, "phase": phase, "usualRestarts": 2,
            "declaredPorts": ["main/80"] })
    }

    #[test]
    fn the_ledger_keeps_the_settings_of_a_policy_until_its_last_patch_is_gone() {
        assert_eq!(KeptPatches::of(&policy(&json!([record("a", "Withdrawn")]))), None);
        let records = json!([record("a", "Verified"), record("b", "Withdrawn"), record("c", "Verified")]);
        let kept = KeptPatches::of(&policy(&records)).unwrap();
        let workload = KeptWorkload { usual_restarts: Some(2), declared_ports: vec!["main/80".to_owned()] };
        let of = |uid: &str| (uid.to_owned(), workload.clone());
        assert_eq!(kept.workloads, BTreeMap::from([of("a"), of("c")]));
        assert_eq!(kept.spec.fix_defaults(), policy(&records).spec.fix_defaults());
        assert_eq!(kept.spec.remediation.as_ref().unwrap().verify_seconds, 30);
        assert_eq!(kept.spec.require_liveness_probe, None);

        let mut ledger = Ledger::default();
        assert!(ledger.keep(&kept) && ledger.keep(&kept));
        assert_eq!(ledger.kept(), std::slice::from_ref(&kept), "once");
        let read: Ledger = serde_json::from_str(&serde_json::to_string(&ledger).unwrap()).unwrap();
        assert_eq!(read, ledger);
        ledger.forget_kept(&BTreeSet::from(["a"]));
        assert_eq!(ledger.kept()[0].workloads, BTreeMap::from([of("c")]));
        ledger.forget_kept(&BTreeSet::from(["c"]));
        assert!(ledger.kept().is_empty());
    }
}
