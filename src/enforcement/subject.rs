//! A workload fetched for a patch: the complete object, and the owners of its fields.
//!
//! The lean types of the rules lack data that a patch needs, so the object is read from the API just before.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, Time};
use serde_json::{Map, Value, json};

use super::field::{ContainerField, Field, Fields, containers, read};
use super::objects::{DaemonSet, Deployment, PodTemplateSpec, StatefulSet};
use crate::rules::PartialContainer;
use crate::workload::{Owner, Workload, WorkloadKind, WorkloadRef};

/// The field manager of the fields that enforcement sets. Other clients do not use this name by accident.
pub const FIELD_MANAGER: &str = "devops.stochastic.io/enforcement";
/// The annotation that names the policy for which a workload was patched. Only the adoption of fields without an owner
/// depends on it.
pub const PATCHED_BY: &str = "devops.stochastic.io/patched-by";
/// The annotation that lists the fields that enforcement set, as `container/field`, for users who want to remove them.
pub const PATCHED_FIELDS: &str = "devops.stochastic.io/patched-fields";

/// The annotation that `kube-devops undo` leaves: the workload's generation before the fields were removed.
pub const UNDONE: &str = "devops.stochastic.io/undone-generation";

/// The kinds that enforcement patches.
pub const KINDS: [WorkloadKind; 3] =
    [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet];

/// A workload that may be patched.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The workload, reduced to the fields that decisions depend on.
    pub typed: Box<Typed>,
    /// The complete object.
    pub object: Value,
}

/// A workload of a kind that enforcement patches.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the variants are the names of the kinds")]
pub enum Typed {
    Deployment(Deployment),
    StatefulSet(StatefulSet),
    DaemonSet(DaemonSet),
}

/// The reason why an object cannot be read, and therefore not patched.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// Enforcement never patches this kind.
    #[error("a {0} is never patched")]
    Kind(&'static str),
    /// It does not match the schema of its kind.
    #[error("not a readable {kind}: {source}")]
    Unreadable {
        /// The kind.
        kind: &'static str,
        /// The parser's error.
        source: serde_json::Error,
    },
}

impl Subject {
    /// Reads the complete object of a workload.
    pub fn read(kind: WorkloadKind, object: Value) -> Result<Self, SubjectError> {
        let unreadable = |source| SubjectError::Unreadable { kind: kind.name(), source };
        let typed = Box::new(match kind {
            WorkloadKind::Deployment => {
                Typed::Deployment(serde_json::from_value(object.clone()).map_err(unreadable)?)
            }
            WorkloadKind::StatefulSet => {
                Typed::StatefulSet(serde_json::from_value(object.clone()).map_err(unreadable)?)
            }
            WorkloadKind::DaemonSet => {
                Typed::DaemonSet(serde_json::from_value(object.clone()).map_err(unreadable)?)
            }
            other => return Err(SubjectError::Kind(other.name())),
        });
        Ok(Self { typed, object })
    }

    /// The workload's kind.
    pub fn kind(&self) -> WorkloadKind {
        match *self.typed {
            Typed::Deployment(_) => WorkloadKind::Deployment,
            Typed::StatefulSet(_) => WorkloadKind::StatefulSet,
            Typed::DaemonSet(_) => WorkloadKind::DaemonSet,
        }
    }

    /// The workload's metadata, managed fields included.
    pub fn metadata(&self) -> &ObjectMeta {
        match &*self.typed {
            Typed::Deployment(deployment) => &deployment.metadata,
            Typed::StatefulSet(set) => &set.metadata,
            Typed::DaemonSet(set) => &set.metadata,
        }
    }

    /// The workload's name.
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// The workload's namespace.
    pub fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }

    /// Returns the workload without its namespace.
    pub fn local(&self) -> Owner<'_> {
        Owner { kind: self.kind().name(), name: self.name() }
    }

    /// Returns the workload.
    pub fn reference(&self) -> WorkloadRef {
        WorkloadRef::new(self.namespace(), self.kind().name(), self.name())
    }

    /// Returns the value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata().annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// The workload's uid.
    pub fn uid(&self) -> &str {
        self.metadata().uid.as_deref().unwrap_or_default()
    }

    /// The pod template.
    pub fn template(&self) -> Option<&PodTemplateSpec> {
        match &*self.typed {
            Typed::Deployment(deployment) => deployment.spec.as_ref().map(|spec| &spec.template),
            Typed::StatefulSet(set) => set.spec.as_ref().map(|spec| &spec.template),
            Typed::DaemonSet(set) => set.spec.as_ref().map(|spec| &spec.template),
        }
    }

    /// Returns the containers of the template in order, without init containers.
    pub fn containers(&self) -> &[PartialContainer] {
        self.template().and_then(|template| template.spec.as_ref()).map_or(&[], |spec| &spec.containers)
    }

    /// Returns the init containers that run as long as the pod does.
    pub fn sidecars(&self) -> impl Iterator<Item = &PartialContainer> {
        let spec = self.template().and_then(|template| template.spec.as_ref());
        let init_containers = spec.into_iter().flat_map(|spec| &spec.init_containers);
        init_containers.filter(|container| container.restart_policy.as_deref() == Some("Always"))
    }

    /// Returns the workload in the form that rules read.
    pub fn workload(&self) -> Result<Workload<'static>, SubjectError> {
        let kind = self.kind();
        Workload::from_json_owned(kind, &self.object.to_string())
            .map_err(|source| SubjectError::Unreadable { kind: kind.name(), source })
    }

    /// Returns the fields that enforcement owns, each with the owned part of its value. Settings that others changed
    /// since are theirs.
    pub fn owned(&self) -> Fields {
        let ours = self.managers().filter(|entry| is_ours(entry));
        let mut fields = Fields::new();
        for (of, owned) in ours.flat_map(fields_of) {
            if let Some(value) = self.value(&of).and_then(|live| project(owned, live)) {
                fields.insert(of, value);
            }
        }
        fields
    }

    /// Returns true if an apply of enforcement has left any mark. If others removed its fields, it still owns names of
    /// containers and annotations, and such a container cannot be renamed.
    pub fn is_marked(&self) -> bool {
        self.managers().any(is_ours)
    }

    /// Returns the time of enforcement's last patch; `None` if no mark of it is left.
    pub fn owned_since(&self) -> Option<Timestamp> {
        self.managers()
            .filter(|entry| is_ours(entry))
            .find_map(|entry| entry.time.as_ref().map(|time| time.0))
    }

    /// Returns true if another manager wrote the spec in a later second than this time.
    pub fn others_wrote_after(&self, at: Timestamp) -> bool {
        let mut others = self.managers().filter(|entry| !is_ours(entry) && owns_spec(entry));
        others.any(|entry| entry.time.as_ref().is_some_and(|time| time.0 > at))
    }

    /// Returns the other field managers that own some of a field.
    pub fn co_owners(&self, of: &ContainerField) -> BTreeSet<String> {
        let others = self.managers().filter(|entry| !is_ours(entry));
        let owners = others.filter(|entry| fields_of(entry).iter().any(|(owned, _)| owned == of));
        owners.filter_map(|entry| entry.manager.clone()).collect()
    }

    /// Returns true if another field manager owns the value at `name` within a field.
    pub fn others_own(&self, of: &ContainerField, name: &str) -> bool {
        let others = self.managers().filter(|entry| !is_ours(entry)).flat_map(fields_of);
        let name = format!("f:{name}");
        others.into_iter().any(|(owned, set)| owned == *of && set.get(&name).is_some())
    }

    /// Returns true if a container has a field, no matter which manager set it.
    pub fn has(&self, of: &ContainerField) -> bool {
        self.value(of).is_some()
    }

    /// Returns the value of a container's field, no matter which manager set it.
    pub fn value(&self, of: &ContainerField) -> Option<&Value> {
        read(self.container(&of.container)?, &of.field.path()).filter(|value| !value.is_null())
    }

    /// Returns the owners of the workload's fields.
    pub fn managers(&self) -> impl Iterator<Item = &ManagedFieldsEntry> {
        self.metadata().managed_fields.iter().flatten()
    }

    /// Returns true if another manager may have changed the template since a patch at this time; `generation` is the
    /// workload's before the patch.
    pub fn others_changed_template(&self, generation: Option<i64>, patched: Timestamp) -> bool {
        // The patch is one generation.
        let written = self.metadata().generation.zip(generation).map(|(now, then)| now - then);
        let mut others = self.managers().filter(|entry| !is_ours(entry) && owns(entry, "/f:spec/f:template"));
        // Times have a resolution of one second, so the creation and the patch can have the same time.
        let created = self.metadata().creation_timestamp.as_ref();
        let is_later = |time: &Time| time.0 >= patched && created.is_none_or(|created| time.0 > created.0);
        written.is_none_or(|times| times > 1) && others.any(|entry| entry.time.as_ref().is_some_and(is_later))
    }

    /// Returns the apply document after which enforcement owns exactly these fields, for a policy if there are any. It
    /// carries the uid and `resourceVersion`, so the API server refuses it for any other version.
    pub fn document(&self, fields: &Fields, policy: Option<&str>) -> Value {
        let metadata = self.metadata();
        let mut document = json!({
            "apiVersion": self.kind().api_version(),
            "kind": self.kind().name(),
            "metadata": {
                "name": metadata.name,
                "namespace": metadata.namespace,
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
            },
        });
        if !fields.is_empty() {
            let names: Vec<String> = fields.keys().map(ToString::to_string).collect();
            document["metadata"]["annotations"] = json!({ PATCHED_FIELDS: names.join(",") });
            if let Some(policy) = policy {
                document["metadata"]["annotations"][PATCHED_BY] = json!(policy);
            }
            document["spec"] =
                json!({ "template": { "spec": { "containers": self.partial_containers(fields) } } });
        }
        document
    }

    /// Returns containers with only these fields, in the workload's order. The API server prefers the order of the
    /// applied document over the existing one.
    pub fn partial_containers(&self, fields: &Fields) -> Vec<Value> {
        let mut partial = containers(fields);
        let place = |partial: &Value| {
            self.containers().iter().position(|container| partial["name"] == container.name.as_str())
        };
        partial.sort_by_key(place);
        partial
    }

    fn container(&self, name: &str) -> Option<&Value> {
        let containers = self.object.pointer("/spec/template/spec/containers")?.as_array()?;
        containers.iter().find(|container| container["name"] == name)
    }
}

/// Returns true if an entry belongs to enforcement's applies.
pub(super) fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

/// Returns true if an entry owns part of the spec. An entry with only a label or the status does not.
pub(super) fn owns_spec(entry: &ManagedFieldsEntry) -> bool {
    owns(entry, "/f:spec")
}

fn owns(entry: &ManagedFieldsEntry, pointer: &str) -> bool {
    entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer(pointer).is_some())
}

/// Returns the owned fields of each container, from one `managedFields` entry.
pub(super) fn fields_of(entry: &ManagedFieldsEntry) -> Vec<(ContainerField, &Value)> {
    let pointer = "/f:spec/f:template/f:spec/f:containers";
    let containers = entry.fields_v1.as_ref().and_then(|fields| fields.0.pointer(pointer)?.as_object());
    let mut found = Vec::new();
    for (key, owned) in containers.into_iter().flatten() {
        let key = key.strip_prefix("k:").and_then(|key| serde_json::from_str::<Value>(key).ok());
        let Some(name) = key.as_ref().and_then(|key| key["name"].as_str()) else { continue };
        for field in Field::ALL {
            let path = field.path();
            let set = path.iter().try_fold(owned, |set, name| set.get(format!("f:{name}")));
            found.extend(set.map(|set| (ContainerField::new(name, field), set)));
        }
    }
    found
}

/// Returns the part of a value that a set of owned fields names; `None` if no owned part exists.
///
/// A list owns everything below it, because no list in a probe is owned item by item.
fn project(owned: &Value, live: &Value) -> Option<Value> {
    let names = owned.as_object()?.keys().filter_map(|key| key.strip_prefix("f:"));
    let names: Vec<&str> = names.collect();
    let Some(live) = live.as_object().filter(|_| !names.is_empty()) else { return Some(live.clone()) };
    let part: Map<String, Value> = names
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), project(&owned[format!("f:{name}")], live.get(name)?)?)))
        .collect();
    (!part.is_empty()).then_some(Value::Object(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforcement::field::Compute;

    fn deployment() -> Value {
        let probe = json!({ "tcpSocket": { "port": 80 }, "periodSeconds": 5, "failureThreshold": 3 });
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web", "namespace": "n", "uid": "u", "resourceVersion": "7",
                "managedFields": [
                    { "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": { "f:spec": { "f:template": {
                        "f:spec": { "f:containers": { "k:{\"name\":\"main\"}": {
                            ".": {}, "f:name": {},
                            "f:livenessProbe": { "f:tcpSocket": { "f:port": {} }, "f:failureThreshold": {} },
                            "f:resources": { "f:limits": { "f:memory": {} } },
                        } } } } } } },
                    { "manager": "kubectl-edit", "operation": "Update", "fieldsV1": { "f:spec": { "f:template": {
                        "f:spec": { "f:containers": { "k:{\"name\":\"main\"}": {
                            "f:image": {}, "f:livenessProbe": { "f:periodSeconds": {} },
                        } } } } } } },
                ],
            },
            "spec": { "selector": {}, "template": { "spec": { "containers": [{
                "name": "main", "image": "x:1", "livenessProbe": probe, "resources": { "limits": { "memory": "1Gi" } },
            }] } } },
        })
    }

    fn subject(object: Value) -> Subject {
        Subject::read(WorkloadKind::Deployment, object).unwrap()
    }

    fn liveness() -> ContainerField {
        ContainerField::new("main", Field::LivenessProbe)
    }

    #[test]
    fn settings_that_others_changed_on_our_probe_are_theirs() {
        let subject = subject(deployment());
        let ours = Fields::from([
            (liveness(), json!({ "tcpSocket": { "port": 80 }, "failureThreshold": 3 })),
            (ContainerField::new("main", Field::Limit(Compute::Memory)), json!("1Gi")),
        ]);
        assert_eq!(subject.owned(), ours);
        assert_eq!(subject.co_owners(&liveness()), BTreeSet::from(["kubectl-edit".to_owned()]));
    }

    #[test]
    fn a_later_write_by_another_manager_counts_as_a_changed_template() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        for (generation, wrote, pointer, expected) in [
            (Some(4), 20, "f:template", false),
            (Some(5), 20, "f:template", true),
            (Some(5), 10, "f:template", true),
            (Some(5), 9, "f:template", false),
            (Some(5), 20, "f:replicas", false),
            (None, 20, "f:template", true),
        ] {
            let mut object = deployment();
            object["metadata"]["generation"] = json!(generation);
            object["metadata"]["managedFields"] = json!([{ "manager": "kubectl", "operation": "Update",
                "time": at(wrote).to_string(), "fieldsV1": { "f:spec": { pointer: {} } } }]);
            let changed = subject(object).others_changed_template(Some(3), at(10));
            assert_eq!(changed, expected, "{generation:?} {wrote} {pointer}");
        }
    }

    #[test]
    fn a_workload_created_in_the_second_of_its_patch_has_no_changed_template() {
        let second = Timestamp::from_second(10).unwrap();
        let mut object = deployment();
        object["metadata"]["generation"] = json!(5);
        object["metadata"]["creationTimestamp"] = json!(second.to_string());
        object["metadata"]["managedFields"] = json!([{ "manager": "kubectl", "operation": "Update",
            "time": second.to_string(), "fieldsV1": { "f:spec": { "f:template": {} } } }]);
        assert!(!subject(object).others_changed_template(Some(3), second));
    }

    #[test]
    fn a_document_names_the_version_that_it_was_planned_from() {
        let subject = subject(deployment());
        let mut fields = subject.owned();
        fields.remove(&liveness());
        let document = subject.document(&fields, Some("standard"));
        let expected = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web", "namespace": "n", "uid": "u", "resourceVersion": "7",
                "annotations": { PATCHED_BY: "standard", PATCHED_FIELDS: "main/resources.limits.memory" },
            },
            "spec": { "template": { "spec": { "containers": [
                { "name": "main", "resources": { "limits": { "memory": "1Gi" } } },
            ] } } },
        });
        assert_eq!(document, expected);
        let none = subject.document(&Fields::new(), Some("standard"));
        assert_eq!(none.get("spec"), None);
        assert_eq!(none["metadata"].get("annotations"), None);
    }
}
