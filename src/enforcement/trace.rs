//! The trace that enforcement leaves on few workloads: the declared ports, the annotation that requests another attempt,
//! and fields to adopt. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;

use super::adoption::Adoptable;
use super::eligibility::RETRY;
use super::objects::{Object, PodTemplateSpec};
use super::ports::declared;
use super::subject::{FIELD_MANAGER, PATCHED_BY};

/// The observed parts of a workload with a trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The TCP ports that its containers declare, each as container/port.
    pub ports: BTreeSet<String>,
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
        Ok(Some(Self {
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
            Some(Trace { ports, retry: retry.map(|at| at.parse().unwrap()), adoptable: None })
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
}
