//! Finds fields of other clients that use the name of enforcement's field manager. Pure.
//!
//! A server-side apply removes every field that its manager owned before and that is missing from the document. The
//! next patch would therefore remove the fields of a client that uses our name.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

use super::field::Field;
use super::subject::{FIELD_MANAGER, PATCHED_BY, PATCHED_FIELDS, Subject};

/// The actions of a probe other than a connect, which enforcement never sets.
const OTHER_ACTIONS: [&str; 3] = ["f:exec", "f:grpc", "f:httpGet"];

/// Returns a path that an entry of our name owns and enforcement never sets, such as `spec.replicas`. Returns `None` if
/// all fields under our name can be ours.
pub fn foreign_path(subject: &Subject) -> Option<String> {
    foreign_path_of(subject.managers())
}

/// Returns the same for the entries of a workload.
pub(super) fn foreign_path_of<'e>(entries: impl Iterator<Item = &'e ManagedFieldsEntry>) -> Option<String> {
    let under_our_name = |entry: &&ManagedFieldsEntry| entry.manager.as_deref() == Some(FIELD_MANAGER);
    let sets = entries.filter(under_our_name).filter_map(|entry| entry.fields_v1.as_ref());
    sets.map(|fields| &fields.0).find_map(|fields| foreign_leaf(fields, &mut Vec::new()))
}

/// Returns the first leaf in a set of fields that enforcement never sets.
fn foreign_leaf<'f>(set: &'f Value, path: &mut Vec<&'f str>) -> Option<String> {
    let members = set.as_object().filter(|members| !members.is_empty());
    let Some(members) = members else {
        return (!is_settable(path)).then(|| {
            let names = path.iter().map(|name| name.strip_prefix("f:").unwrap_or(name));
            names.collect::<Vec<_>>().join(".")
        });
    };
    members.iter().find_map(|(name, below)| {
        // The dot stands for the object itself.
        let depth = path.len();
        path.extend(Some(name.as_str()).filter(|name| *name != "."));
        let found = foreign_leaf(below, path);
        path.truncate(depth);
        found
    })
}

/// Returns true if a path leads to, or into, a field that enforcement sets.
fn is_settable(path: &[&str]) -> bool {
    let meets = |way: &[&str], path: &[&str]| {
        path.iter().zip(way).all(|(name, expected)| name.strip_prefix("f:") == Some(expected))
    };
    let annotation = |name| meets(&["metadata", "annotations", name], path) && path.len() <= 3;
    let to_containers = ["spec", "template", "spec", "containers"];
    let in_container = || match path.get(to_containers.len()..) {
        None | Some([]) => true,
        Some([key, "f:name"]) => key.starts_with("k:"),
        Some([key, field @ ..]) => {
            let is_ours = |known: Field| {
                let action = field.get(known.path().len()).filter(|_| known.is_probe());
                meets(&known.path(), field) && action.is_none_or(|action| !OTHER_ACTIONS.contains(action))
            };
            key.starts_with("k:") && Field::ALL.into_iter().any(is_ours)
        }
    };
    [PATCHED_BY, PATCHED_FIELDS].into_iter().any(annotation)
        || (meets(&to_containers, path) && in_container())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::WorkloadKind;

    fn foreign(manager: &str, fields: &Value) -> Option<String> {
        let entry = json!({ "manager": manager, "operation": "Apply", "fieldsV1": fields });
        let metadata = json!({ "name": "web", "managedFields": [entry] });
        let object = json!({ "metadata": metadata, "spec": { "selector": {}, "template": {} } });
        foreign_path(&Subject::read(WorkloadKind::Deployment, object).unwrap())
    }

    fn in_container(fields: &Value) -> Value {
        json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"main\"}": fields } } } } })
    }

    fn annotation(name: &str) -> Value {
        json!({ "f:metadata": { "f:annotations": { ".": {}, format!("f:{name}"): {} } } })
    }

    #[test]
    fn fields_that_enforcement_sets_are_not_foreign() {
        for fields in [
            json!({}),
            annotation(PATCHED_BY),
            annotation(PATCHED_FIELDS),
            in_container(&json!({})),
            in_container(&json!({ ".": {}, "f:name": {} })),
            in_container(
                &json!({ "f:livenessProbe": { "f:tcpSocket": { "f:port": {} }, "f:periodSeconds": {} } }),
            ),
            in_container(&json!({ "f:startupProbe": {}, "f:readinessProbe": { ".": {} } })),
            in_container(
                &json!({ "f:resources": { "f:requests": { "f:cpu": {} }, "f:limits": { "f:memory": {} } } }),
            ),
            in_container(&json!({ "f:resources": { "f:requests": {} } })),
        ] {
            assert_eq!(foreign(FIELD_MANAGER, &fields), None, "{fields}");
        }
    }

    #[test]
    fn any_other_field_under_our_name_is_foreign() {
        let container =
            |field: &str| format!("spec.template.spec.containers.k:{{\"name\":\"main\"}}.{field}");
        for (fields, expected) in [
            (json!({ "f:spec": { "f:replicas": {} } }), "spec.replicas".to_owned()),
            (annotation("team"), "metadata.annotations.team".to_owned()),
            (json!({ "f:metadata": { "f:labels": { "f:a": {} } } }), "metadata.labels.a".to_owned()),
            (in_container(&json!({ "f:name": {}, "f:image": {} })), container("image")),
            (in_container(&json!({ "f:env": { "k:{\"name\":\"A\"}": { "f:value": {} } } })), {
                container("env.k:{\"name\":\"A\"}.value")
            }),
            (
                in_container(&json!({ "f:resources": { "f:limits": { "f:nvidia.com/gpu": {} } } })),
                container("resources.limits.nvidia.com/gpu"),
            ),
            (
                in_container(&json!({ "f:livenessProbe": { "f:httpGet": { "f:path": {} } } })),
                container("livenessProbe.httpGet.path"),
            ),
            (
                in_container(&json!({ "f:readinessProbe": { "f:exec": {} } })),
                container("readinessProbe.exec"),
            ),
            (
                json!({ "f:spec": { "f:template": { "f:spec": { "f:nodeSelector": {} } } } }),
                "spec.template.spec.nodeSelector".to_owned(),
            ),
        ] {
            assert_eq!(foreign(FIELD_MANAGER, &fields), Some(expected), "{fields}");
            assert_eq!(foreign("kubectl", &fields), None, "{fields}");
        }
    }
}
