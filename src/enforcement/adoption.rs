//! Adopts the fields that a workload got when it was created. Pure.
//!
//! The API server records an owner for each field of a request before it calls mutating webhooks, so the fields that a
//! webhook adds have none. An apply of equal values makes enforcement their owner.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::field::{ContainerField, Fields};
use super::plan::Plan;
use super::ports::{PortReason, ProbePort};
use super::subject::{PATCHED_BY, PATCHED_FIELDS, Subject, fields_of, is_ours};

/// The fields without an owner that a workload's annotations name, and the policy for which they were set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoptable {
    /// The name of the policy.
    pub policy: String,
    /// The fields, sorted.
    pub fields: Vec<ContainerField>,
}

impl Adoptable {
    /// Reads the metadata of a workload; `None` if there is nothing to adopt.
    pub fn read(metadata: &ObjectMeta) -> Option<Self> {
        let annotations = metadata.annotations.as_ref()?;
        let policy = annotations.get(PATCHED_BY)?.clone();
        let mut fields: Vec<ContainerField> =
            annotations.get(PATCHED_FIELDS)?.split(',').filter_map(|field| field.parse().ok()).collect();
        for entry in metadata.managed_fields.iter().flatten() {
            if is_ours(entry) {
                return None;
            }
            let owned = fields_of(entry);
            fields.retain(|of| !owned.iter().any(|(owned, _)| owned == of));
        }
        fields.sort();
        fields.dedup();
        (!fields.is_empty()).then_some(Self { policy, fields })
    }
}

impl Plan {
    /// Plans the adoption of a workload's fields without an owner: an apply that changes no value. `None` if there is
    /// nothing to adopt.
    pub fn adoption(subject: &Subject) -> Option<Self> {
        let Adoptable { policy, fields } = Adoptable::read(subject.metadata())?;
        let adds: Fields =
            fields.into_iter().filter_map(|of| Some((of.clone(), subject.value(&of)?.clone()))).collect();
        if adds.is_empty() {
            return None;
        }
        let ports = adds.iter().filter_map(|(of, value)| {
            let port = value.pointer("/tcpSocket/port")?.as_i64()?.try_into().ok()?;
            Some((of.clone(), ProbePort { port, why: PortReason::Creation }))
        });
        Some(Self {
            document: subject.document(&adds, Some(&policy)),
            ports: ports.collect(),
            adds,
            keeps: Fields::new(),
            policy,
            unfixed: Vec::new(),
            noted: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::enforcement::{Compute, FIELD_MANAGER, Field};
    use crate::workload::WorkloadKind;

    /// A Deployment whose probe and memory limit are named as set, with the fields that a manager owns.
    fn subject(manager: &str, operation: &str, owned: &Value) -> Subject {
        let fields = json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": {
            "k:{\"name\":\"main\"}": owned } } } } });
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web", "namespace": "n", "uid": "u", "resourceVersion": "7",
                "annotations": {
                    PATCHED_BY: "base",
                    PATCHED_FIELDS: "main/livenessProbe,main/resources.limits.memory,gone/readinessProbe,odd",
                },
                "managedFields": [{ "manager": manager, "operation": operation, "fieldsV1": fields }],
            },
            "spec": { "selector": {}, "template": { "spec": { "containers": [{
                "name": "main", "image": "x:1", "livenessProbe": { "tcpSocket": { "port": 80 }, "periodSeconds": 10 },
                "resources": { "limits": { "memory": "1Gi" } },
            }] } } },
        });
        Subject::read(WorkloadKind::Deployment, object).unwrap()
    }

    #[test]
    fn fields_without_an_owner_are_adopted_with_their_values() {
        let plan = Plan::adoption(&subject("kubectl", "Update", &json!({ "f:image": {} }))).unwrap();
        let liveness = ContainerField::new("main", Field::LivenessProbe);
        let limit = ContainerField::new("main", Field::Limit(Compute::Memory));
        assert_eq!(plan.adds.keys().collect::<Vec<_>>(), [&liveness, &limit]);
        assert_eq!((plan.policy.as_str(), plan.ports[&liveness].port), ("base", 80));
        let container = &plan.document["spec"]["template"]["spec"]["containers"][0];
        let expected = json!({
            "name": "main", "livenessProbe": { "tcpSocket": { "port": 80 }, "periodSeconds": 10 },
            "resources": { "limits": { "memory": "1Gi" } },
        });
        assert_eq!(container, &expected);
        assert_eq!(plan.document["metadata"]["resourceVersion"], "7");
    }

    #[test]
    fn fields_of_others_and_workloads_of_ours_are_not_adopted() {
        let others = json!({ "f:livenessProbe": { "f:tcpSocket": {} }, "f:image": {} });
        let plan = Plan::adoption(&subject("kubectl", "Update", &others)).unwrap();
        assert_eq!(
            plan.adds.keys().map(ToString::to_string).collect::<Vec<_>>(),
            ["main/resources.limits.memory"]
        );
        let all = json!({ "f:livenessProbe": {}, "f:resources": { "f:limits": { "f:memory": {} } } });
        assert_eq!(Plan::adoption(&subject("kubectl", "Update", &all)), None);
        assert_eq!(Plan::adoption(&subject(FIELD_MANAGER, "Apply", &json!({}))), None);
        let mut bare = subject("kubectl", "Update", &json!({})).object;
        bare["metadata"]["annotations"] = json!({});
        assert_eq!(Plan::adoption(&Subject::read(WorkloadKind::Deployment, bare).unwrap()), None);
    }
}
