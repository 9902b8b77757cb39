//! Policies as manifests: read from files, cleaned of what a cluster adds, and written again.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Map, Value, json};

use super::manifest::{CLUSTER_KIND, documents};
use super::schema_check::without_nulls;
use super::{DevOpsPolicySpec, EffectivePolicy, PolicyManifestError};
use crate::workload::PolicyRef;

/// The label of a policy with the name of the set of files that it belongs to.
pub const SET_LABEL: &str = "devops.stochastic.io/policy-set";

/// The annotation that keeps a copy of the whole object for `kubectl apply`.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The finalizer that the operator adds to every policy.
pub const FINALIZER: &str = "devops.stochastic.io/cleanup";

/// A policy as it is written in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDocument {
    /// True for a `ClusterDevOpsPolicy`, which has no namespace.
    pub is_cluster: bool,
    /// The namespace, if it names one.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
    /// The finalizers, without the operator's.
    pub finalizers: Vec<String>,
    /// The spec, as it was written.
    pub spec: Value,
}

/// The policies of a stream.
#[derive(Debug, Default)]
pub struct PolicyDocuments {
    /// The policies, in their order.
    pub policies: Vec<PolicyDocument>,
    /// The kinds of the other objects, in their order.
    pub other_kinds: Vec<String>,
}

/// The reason why a policy of a stream cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct PolicyDocumentError {
    /// The first line of the policy's document, from 1.
    pub line: usize,
    /// The problem.
    pub error: PolicyManifestError,
}

impl PolicyDocuments {
    /// Reads and validates the policies of a stream in YAML or JSON, also those in lists.
    pub fn read(text: &str) -> Result<Self, PolicyDocumentError> {
        let mut found = Self::default();
        let error = |line: usize| move |error| PolicyDocumentError { line, error };
        for (lines_before, document) in documents(text).map_err(|syntax| match syntax {
            PolicyManifestError::Syntax { line, .. } => error(line)(syntax),
            other => error(1)(other),
        })? {
            let items = match document {
                Value::Object(mut list) if list.get("items").is_some_and(Value::is_array) => {
                    list.remove("items").and_then(|items| items.as_array().cloned()).unwrap_or_default()
                }
                one => vec![one],
            };
            for item in items {
                found.add(&without_nulls(item)).map_err(error(lines_before + 1))?;
            }
        }
        Ok(found)
    }

    fn add(&mut self, object: &Value) -> Result<(), PolicyManifestError> {
        if object["kind"] != "DevOpsPolicy" && object["kind"] != CLUSTER_KIND {
            self.other_kinds.push(object["kind"].as_str().unwrap_or("an object without a kind").to_owned());
            return Ok(());
        }
        EffectivePolicy::from_spec(&DevOpsPolicySpec::from_document(object)?)?;
        if object.pointer("/metadata/name").is_none() {
            let problem = "metadata.name: must be there: a generateName makes another policy each time";
            return Err(PolicyManifestError::Fields(vec![problem.to_owned()]));
        }
        self.policies.push(PolicyDocument::from_object(object));
        Ok(())
    }
}

impl PolicyDocument {
    /// Takes what a user can set from an object of a cluster or a file, and leaves the rest out.
    pub fn from_object(object: &Value) -> Self {
        let metadata = &object["metadata"];
        let texts = |name: &str| {
            let fields = metadata[name].as_object().into_iter().flatten();
            fields.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        };
        let mut annotations: BTreeMap<String, String> = texts("annotations");
        annotations.remove(LAST_APPLIED);
        let finalizers = metadata["finalizers"].as_array().into_iter().flatten();
        Self {
            is_cluster: object["kind"] == CLUSTER_KIND,
            namespace: metadata["namespace"].as_str().map(str::to_owned),
            name: metadata["name"].as_str().unwrap_or_default().to_owned(),
            labels: texts("labels"),
            annotations,
            finalizers: finalizers
                .filter_map(|finalizer| finalizer.as_str())
                .filter(|finalizer| *finalizer != FINALIZER)
                .map(str::to_owned)
                .collect(),
            spec: object.get("spec").cloned().unwrap_or_else(|| json!({})),
        }
    }

    /// Returns the manifest.
    pub fn manifest(&self) -> Value {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(self.name));
        if let Some(namespace) = &self.namespace {
            metadata.insert("namespace".to_owned(), json!(namespace));
        }
        for (name, texts) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if !texts.is_empty() {
                metadata.insert(name.to_owned(), json!(texts));
            }
        }
        if !self.finalizers.is_empty() {
            metadata.insert("finalizers".to_owned(), json!(self.finalizers));
        }
        json!({
            "apiVersion": "devops.stochastic.io/v1",
            "kind": if self.is_cluster { CLUSTER_KIND } else { "DevOpsPolicy" },
            "metadata": metadata,
            "spec": self.spec,
        })
    }

    /// Returns the spec. It was validated when the policy was read.
    pub fn parsed(&self) -> DevOpsPolicySpec {
        serde_json::from_value(self.spec.clone()).unwrap_or_default()
    }

    /// Returns the name within the namespace; that of a cluster policy is `cluster/name`.
    pub fn local_name(&self) -> String {
        if self.is_cluster { PolicyRef::cluster(&self.name).name } else { self.name.clone() }
    }

    /// Returns `namespace/name`, `cluster/name` for a cluster policy, or the name alone if there is no namespace.
    pub fn shown_name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.local_name(),
        }
    }

    /// Returns the key by which policies are sorted, and by which two are the same. Cluster policies come first.
    pub fn key(&self) -> (Option<String>, String) {
        (self.namespace.clone(), self.local_name())
    }

    /// Returns the selector of a cluster policy's namespaces.
    pub fn namespace_selector(&self) -> Option<LabelSelector> {
        let selector = self.spec.get("namespaceSelector").filter(|_| self.is_cluster)?;
        serde_json::from_value(selector.clone()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_of_a_cluster_is_written_without_what_the_cluster_added() {
        let object = json!({
            "apiVersion": "devops.stochastic.io/v1",
            "kind": "DevOpsPolicy",
            "metadata": {
                "name": "p", "namespace": "shop", "uid": "1", "resourceVersion": "5", "generation": 2,
                "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{ "manager": "kubectl" }],
                "labels": { "team": "shop" },
                "annotations": { LAST_APPLIED: "{}", "owner": "me" },
                "finalizers": [FINALIZER, "example.com/hold"],
            },
            "spec": { "forbidLatestTag": true, "enforcementMode": "audit" },
            "status": { "healthy": true },
        });
        let policy = PolicyDocument::from_object(&object);
        let written = policy.manifest();
        let expected = json!({
            "apiVersion": "devops.stochastic.io/v1",
            "kind": "DevOpsPolicy",
            "metadata": {
                "name": "p", "namespace": "shop",
                "labels": { "team": "shop" },
                "annotations": { "owner": "me" },
                "finalizers": ["example.com/hold"],
            },
            "spec": { "forbidLatestTag": true, "enforcementMode": "audit" },
        });
        assert_eq!(written, expected);
        assert_eq!(PolicyDocument::from_object(&written), policy);
    }

    #[test]
    fn lists_are_opened_and_other_kinds_are_named() {
        let policy =
            "{apiVersion: devops.stochastic.io/v1, kind: DevOpsPolicy, metadata: {name: p}, spec: {}}";
        let text = format!(
            "{policy}\n---\napiVersion: v1\nkind: List\nitems: [{policy}, {{apiVersion: v1, kind: Pod}}]\n"
        );
        let found = PolicyDocuments::read(&text).unwrap();
        assert_eq!((found.policies.len(), found.other_kinds), (2, vec!["Pod".to_owned()]));
    }

    #[test]
    fn a_cluster_policy_keeps_its_kind_and_has_no_namespace() {
        let text = "{apiVersion: devops.stochastic.io/v1, kind: ClusterDevOpsPolicy, metadata: {name: base}, \
                    spec: {namespaceSelector: {matchLabels: {team: web}}, maxRestartCount: 3}}";
        let policy = PolicyDocuments::read(text).unwrap().policies.remove(0);
        assert_eq!(
            (policy.shown_name(), policy.parsed().max_restart_count),
            ("cluster/base".to_owned(), Some(3))
        );
        assert_eq!(policy.namespace_selector().unwrap().match_labels.unwrap()["team"], "web");
        assert_eq!(PolicyDocument::from_object(&policy.manifest()), policy);
    }

    #[test]
    fn a_policy_without_a_name_of_its_own_is_refused() {
        let text = "{apiVersion: devops.stochastic.io/v1, kind: DevOpsPolicy, metadata: {generateName: p-}, spec: {}}";
        let error = PolicyDocuments::read(text).unwrap_err().to_string();
        assert!(error.starts_with("line 1: metadata.name: must be there"), "{error}");
    }

    #[test]
    fn json_keeps_the_characters_that_are_line_breaks_in_yaml() {
        let policy = json!({
            "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy", "spec": {},
            "metadata": { "name": "p", "annotations": { "note": "a\u{85}b\u{2028}c" } },
        });
        for text in [policy.to_string(), format!("{policy:#}")] {
            let read = PolicyDocuments::read(&text).unwrap().policies;
            assert_eq!(read[0].annotations["note"], "a\u{85}b\u{2028}c");
        }
    }

    #[test]
    fn an_invalid_policy_is_named_by_its_line() {
        let text = "# first\n---\napiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\nmetadata: {name: p}\n\
                    spec: {forbidLatest: true}\n";
        let error = PolicyDocuments::read(text).unwrap_err().to_string();
        assert!(error.starts_with("line 3: spec.forbidLatest: there is no such field"), "{error}");
    }
}
