//! Withdraws fields: applies a document without them, and removes probes that would remain invalid.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::apply::{apply, patch, read_again};
use super::apply_error::ApplyError;
use crate::cluster::{Cluster, retry_on_conflict};
use crate::enforcement::{ContainerField, FIELD_MANAGER, Subject, SubjectError};

/// The result of a withdrawal.
#[derive(Debug)]
pub struct Withdrawal {
    /// The workload after the withdrawal.
    pub subject: Subject,
    /// The fields that remain because other managers own them too.
    pub remains: Remains,
    /// Removed probes that had settings of other managers.
    pub tuned: Remains,
}

/// Fields, each with the managers that own some of it.
pub type Remains = BTreeMap<ContainerField, BTreeSet<String>>;

/// The handlers of a probe; it must have one.
const HANDLERS: [&str; 4] = ["exec", "grpc", "httpGet", "tcpSocket"];

/// Withdraws fields from a workload; enforcement keeps its other fields.
///
/// A probe without a handler is invalid, so it is removed with the settings that others added.
pub async fn withdraw(
    cluster: &Cluster,
    subject: &Subject,
    fields: &BTreeSet<ContainerField>,
    policy: Option<&str>,
) -> Result<Withdrawal, ApplyError> {
    let document = document(subject, fields, policy);
    let tuned = tuned(subject, fields);
    match apply(cluster, subject, &document).await {
        Ok(after) => {
            // The admission policy may already have removed the rest of a probe.
            let gone = tuned.into_iter().filter(|(of, _)| !after.has(of)).collect();
            Ok(Withdrawal::new(subject, after, fields, gone))
        }
        Err(error) if error.is_invalid() && !tuned.is_empty() => {
            let removal = removal(subject, tuned.keys());
            let without = serde_json::from_value(removal)
                .map_err(|source| SubjectError::Unreadable { kind: subject.kind().name(), source })?;
            let params =
                PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
            let between = patch(cluster, subject, &params, &Patch::Json(without)).await;
            // Only the test of the resource version can fail as invalid.
            let between =
                between.map_err(|error| if error.is_invalid() { ApplyError::Stale } else { error })?;
            let after = withdraw_rest(cluster, &between, fields, policy).await?;
            Ok(Withdrawal::new(subject, after, fields, tuned))
        }
        Err(error) => Err(error),
    }
}

/// Withdraws the other fields after the probes were removed. It retries on conflicts, because the workload no
/// longer shows whose settings were removed.
async fn withdraw_rest(
    cluster: &Cluster,
    subject: &Subject,
    fields: &BTreeSet<ContainerField>,
    policy: Option<&str>,
) -> Result<Subject, ApplyError> {
    let attempt = async |number| {
        let subject = &*read_again(cluster, subject, number).await?;
        apply(cluster, subject, &document(subject, fields, policy)).await
    };
    retry_on_conflict(attempt, |error| matches!(error, ApplyError::Stale)).await
}

impl Withdrawal {
    fn new(before: &Subject, after: Subject, fields: &BTreeSet<ContainerField>, tuned: Remains) -> Self {
        let owned = before.owned();
        let ours = fields.iter().filter(|of| owned.contains_key(of) && after.has(of));
        let remains = ours.map(|of| (of.clone(), after.co_owners(of))).collect();
        Self { subject: after, remains, tuned }
    }
}

/// Returns the apply document without these fields.
fn document(subject: &Subject, fields: &BTreeSet<ContainerField>, policy: Option<&str>) -> Value {
    let mut keeps = subject.owned();
    keeps.retain(|of, _| !fields.contains(of));
    subject.document(&keeps, policy)
}

/// Returns the probes among the fields that would have no handler left, with the managers of their settings.
pub fn tuned(subject: &Subject, fields: &BTreeSet<ContainerField>) -> Remains {
    let owned = subject.owned();
    let probes = fields.iter().filter(|of| of.field.is_probe());
    let left = probes
        .filter(|of| owned.contains_key(of) && !HANDLERS.iter().any(|name| subject.others_own(of, name)));
    left.map(|of| (of.clone(), subject.co_owners(of))).filter(|(_, others)| !others.is_empty()).collect()
}

/// Returns the JSON patch that removes fields from exactly the version that was read.
fn removal<'f>(subject: &Subject, fields: impl Iterator<Item = &'f ContainerField>) -> Value {
    let version = subject.metadata().resource_version.as_deref().unwrap_or_default();
    let mut steps = vec![json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version })];
    for of in fields {
        let index = subject.containers().iter().position(|container| container.name == of.container);
        let Some(index) = index else { continue };
        let path = format!("/spec/template/spec/containers/{index}/{}", of.field.path().join("/"));
        steps.push(json!({ "op": "remove", "path": path }));
    }
    Value::Array(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforcement::Field;
    use crate::workload::WorkloadKind;

    fn subject(others: &Value) -> Subject {
        let entry = |manager: &str, operation: &str, probe: &Value| {
            json!({ "manager": manager, "operation": operation, "fieldsV1": { "f:spec": { "f:template": {
                "f:spec": { "f:containers": { "k:{\"name\":\"b\"}": { "f:livenessProbe": probe } } } } } } })
        };
        let ours = entry(FIELD_MANAGER, "Apply", &json!({ "f:tcpSocket": { "f:port": {} } }));
        let probe = json!({ "tcpSocket": { "port": 80 }, "periodSeconds": 7 });
        let object = json!({
            "metadata": {
                "name": "web", "namespace": "n", "resourceVersion": "7",
                "managedFields": [ours, entry("kubectl-edit", "Update", others)],
            },
            "spec": { "selector": {}, "template": { "spec": { "containers": [
                { "name": "a" }, { "name": "b", "livenessProbe": probe },
            ] } } },
        });
        Subject::read(WorkloadKind::Deployment, object).unwrap()
    }

    fn liveness() -> BTreeSet<ContainerField> {
        BTreeSet::from([ContainerField::new("b", Field::LivenessProbe)])
    }

    #[test]
    fn a_probe_is_tuned_if_others_own_settings_of_it_and_no_handler() {
        let tuned = |others: &Value| super::tuned(&subject(others), &liveness()).len();
        assert_eq!(tuned(&json!({ "f:periodSeconds": {} })), 1);
        assert_eq!(
            tuned(&json!({ "f:periodSeconds": {}, "f:tcpSocket": { "f:port": {} } })),
            0,
            "a co-owner"
        );
        assert_eq!(
            tuned(&json!({ "f:periodSeconds": {}, "f:httpGet": { "f:port": {} } })),
            0,
            "a probe of theirs"
        );
    }

    #[test]
    fn a_tuned_probe_is_removed_from_the_version_that_was_read() {
        let steps = removal(&subject(&json!({})), liveness().iter());
        let expected = json!([
            { "op": "test", "path": "/metadata/resourceVersion", "value": "7" },
            { "op": "remove", "path": "/spec/template/spec/containers/1/livenessProbe" },
        ]);
        assert_eq!(steps, expected);
    }
}
