//! The trace that enforcement leaves on few workloads: the fields that it owns, the declared ports, the annotation that
//! requests another attempt, and fields to adopt. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;

use super::adoption::Adoptable;
use super::eligibility::RETRY;
use super::field::ContainerField;
use super::foreign::foreign_path_of;
use super::objects::{Object, PodTemplateSpec};
use super::ports::declared;
use super::subject::{FIELD_MANAGER, PATCHED_BY, fields_of, is_ours};

/// The observed parts of a workload with a trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The TCP ports that its containers declare, each as container/port.
    pub ports: BTreeSet<String>,
    /// The fields that enforcement owns by the managed fields; none if another client uses the name of its manager.
    pub owned: BTreeSet<ContainerField>,
    /// The time of enforcement's last patch; `None` if no mark of it is left.
    pub owned_since: Option<Timestamp>,
    /// The time of the last request for another attempt.
    pub retry: Option<Timestamp>,
    /// The fields without an owner that it got when it was created.
    pub adoptable: Option<Adoptable>,
}

impl Trace {
    /// Reads the trace of a workload from its JSON; `None` without one.
    pub fn read(workload: &str) -> Result<Option<Self>, serde_json::Error> {
        #[derive(Default, Deserialize)]
        struct Spec {
            #[serde(default)]
            template: PodTemplateSpec,
        }
        if ![FIELD_MANAGER, PATCHED_BY, RETRY].iter().any(|mark| workload.contains(mark)) {
            return Ok(None);
        }
        let workload: Object<Spec> = serde_json::from_str(workload)?;
        let pod = workload.spec.and_then(|spec| spec.template.spec);
        let retry = workload.metadata.annotations.as_ref().and_then(|annotations| annotations.get(RETRY));
        let managers = workload.metadata.managed_fields.as_deref().unwrap_or_default();
        let is_foreign = foreign_path_of(managers.iter()).is_some();
        let ours = || managers.iter().filter(|entry| is_ours(entry) && !is_foreign);
        Ok(Some(Self {
            owned: ours().flat_map(fields_of).map(|(of, _)| of).collect(),
            owned_since: ours().find_map(|entry| entry.time.as_ref().map(|time| time.0)),
            ports: pod.map(|pod| declared(&pod.containers)).unwrap_or_default(),
            retry: retry.and_then(|at| at.parse().ok()),
            adoptable: Adoptable::read(&workload.metadata),
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_workload_with_a_mark_of_ours_has_a_trace() {
        let read = |metadata: &serde_json::Value| {
            let ports = json!([{ "containerPort": 80 }, { "containerPort": 53, "protocol": "UDP" }]);
            let containers = json!([{ "name": "main", "ports": ports }]);
            let spec = json!({ "template": { "spec": { "containers": containers } } });
            Trace::read(&json!({ "metadata": metadata, "spec": spec }).to_string()).unwrap()
        };
        let at = "2026-01-02T03:04:05Z";
        let trace = |retry: Option<&str>| {
            let ports = BTreeSet::from(["main/80".to_owned()]);
            Some(Trace { ports, retry: retry.map(|at| at.parse().unwrap()), ..Trace::default() })
        };
        for (metadata, expected) in [
            (json!({ "annotations": { "team": "a" } }), None),
            (json!({ "managedFields": [{ "manager": FIELD_MANAGER }] }), trace(None)),
            (json!({ "annotations": { PATCHED_BY: "p" } }), trace(None)),
            (json!({ "annotations": { RETRY: at } }), trace(Some(at))),
            (json!({ "annotations": { RETRY: "soon" } }), trace(None)),
        ] {
            assert_eq!(read(&metadata), expected, "{metadata}");
        }
    }

    #[test]
    fn a_trace_has_the_fields_that_enforcement_owns_unless_another_client_uses_its_name() {
        let at = "2026-01-02T03:04:05Z";
        let read = |manager: &str, rest: &serde_json::Value| {
            let mut fields = json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": {
                "k:{\"name\":\"main\"}": { "f:livenessProbe": { "f:tcpSocket": {} } } } } } } });
            fields["f:spec"]["f:replicas"] = rest.clone();
            if rest.is_null() {
                fields["f:spec"].as_object_mut().unwrap().remove("f:replicas");
            }
            let entry = json!({ "manager": manager, "operation": "Apply", "time": at, "fieldsV1": fields });
            let metadata = json!({ "annotations": { PATCHED_BY: "p" }, "managedFields": [entry] });
            Trace::read(&json!({ "metadata": metadata }).to_string()).unwrap().unwrap()
        };
        let none = serde_json::Value::Null;
        let ours = read(FIELD_MANAGER, &none);
        let names: Vec<String> = ours.owned.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["main/livenessProbe"]);
        assert_eq!(ours.owned_since, Some(at.parse().unwrap()));
        for other in [read("kubectl", &none), read(FIELD_MANAGER, &json!({}))] {
            assert_eq!((other.owned.len(), other.owned_since), (0, None));
        }
    }
}
