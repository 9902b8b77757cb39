//! Attributes the fields that enforcement owns to policies. Pure.
//!
//! Only records can do that: the managed fields have one entry for all policies, and the annotation names only the last
//! one.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt as _;

use super::records::{self, fields_of, is_under_way};
use super::{ContainerField, PATCHED_BY, Subject};
use crate::policy::DevOpsPolicy;

/// A policy's share of the fields that enforcement owns on a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The fields that were set for the policy.
    pub fields: BTreeSet<ContainerField>,
    /// The policy for which the other fields were set.
    pub rest_for: Option<String>,
    /// True if a record lists the fields. Otherwise the share is every field that no record of another policy lists.
    pub recorded: bool,
}

/// Returns the fields of a workload that were set for a policy, or all fields if no policy is given. Returns `None` if
/// there are none.
pub fn share(
    subject: &Subject,
    policy: Option<&str>,
    policies: &[impl Borrow<DevOpsPolicy>],
) -> Option<Share> {
    if !subject.is_marked() {
        return None;
    }
    let owned: BTreeSet<ContainerField> = subject.owned().into_keys().collect();
    let annotation = subject.annotation(PATCHED_BY);
    let Some(policy) = policy else { return Some(Share { fields: owned, rest_for: None, recorded: true }) };
    let set_for: BTreeMap<String, BTreeSet<ContainerField>> = policies
        .iter()
        .map(Borrow::borrow)
        .filter_map(|policy: &DevOpsPolicy| {
            let record = records::about(policy.status.as_ref()?, subject)?;
            let mut set = records::set_by(record);
            if is_under_way(record) {
                set.extend(fields_of(record));
            }
            Some((policy.name_any(), set))
        })
        .collect();
    let others = || set_for.iter().filter(|(name, _)| *name != policy);
    let is_others = |of: &ContainerField| others().any(|(_, set)| set.contains(of));
    let recorded = set_for.get(policy);
    let fields: BTreeSet<ContainerField> = match recorded {
        Some(set) => owned.intersection(set).cloned().collect(),
        None if annotation == Some(policy) => owned.iter().filter(|of| !is_others(of)).cloned().collect(),
        None => return None,
    };
    let rest_for = others().find(|(_, set)| owned.difference(&fields).any(|of| set.contains(of)));
    let rest_for = rest_for.map(|(name, _)| name.clone()).or(annotation.map(str::to_owned));
    let nothing = fields.is_empty() && !owned.is_empty();
    (!nothing).then_some(Share { fields, rest_for, recorded: recorded.is_some() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::enforcement::FIELD_MANAGER;
    use crate::workload::WorkloadKind;

    /// A workload with a liveness and a readiness probe of ours, last patched for the policy `second`.
    fn subject() -> Subject {
        let probes = json!({ "f:livenessProbe": {}, "f:readinessProbe": {} });
        let entry = json!({ "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": { "f:spec": { "f:template": {
            "f:spec": { "f:containers": { "k:{\"name\":\"main\"}": probes } } } } } });
        let container = json!({ "name": "main", "livenessProbe": {}, "readinessProbe": {} });
        let object = json!({
            "metadata": { "name": "web", "uid": "u", "annotations": { PATCHED_BY: "second" }, "managedFields": [entry] },
            "spec": { "selector": {}, "template": { "spec": { "containers": [container] } } },
        });
        Subject::read(WorkloadKind::Deployment, object).unwrap()
    }

    fn policy(name: &str, phase: &str, field: &str) -> DevOpsPolicy {
        let record =
            json!({ "kind": "Deployment", "name": "web", "uid": "u", "phase": phase, "fields": [field] });
        let status: Value = json!({ "remediations": [record] });
        serde_json::from_value(json!({ "metadata": { "name": name }, "spec": {}, "status": status })).unwrap()
    }

    #[test]
    fn records_attribute_fields_else_the_annotation_does() {
        let first = policy("first", "Verified", "main/livenessProbe");
        let second = policy("second", "Applied", "main/readinessProbe");
        let withdrawn = policy("second", "Withdrawn", "main/readinessProbe");
        let share = |policy: &str, policies: &[DevOpsPolicy]| {
            let share = share(&subject(), Some(policy), policies)?;
            let fields: Vec<String> = share.fields.iter().map(ToString::to_string).collect();
            Some((fields.join(","), share.rest_for.unwrap(), share.recorded))
        };
        let of =
            |fields: &str, rest_for: &str, recorded| Some((fields.to_owned(), rest_for.to_owned(), recorded));
        let both = [first.clone(), second.clone()];
        assert_eq!(share("first", &both), of("main/livenessProbe", "second", true));
        assert_eq!(share("second", &both), of("main/readinessProbe", "first", true));
        assert_eq!(share("second", std::slice::from_ref(&first)), of("main/readinessProbe", "first", false));
        assert_eq!(share("second", &[]), of("main/livenessProbe,main/readinessProbe", "second", false));
        assert_eq!(share("first", &[second]), None, "nothing names it");
        assert_eq!(share("second", &[first, withdrawn]), None, "what it set was taken back");
        assert_eq!(super::share(&subject(), None, &both).unwrap().fields.len(), 2);
    }
}
