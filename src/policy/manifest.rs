//! A `DevOpsPolicy` or a `ClusterDevOpsPolicy` as a manifest in a file, read as strictly as the API server reads it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::CustomResourceExt;
use serde::Deserialize;
use serde_json::Value;

use crate::yaml::{self, Document, Repeated, chunks};

use super::schema::WRONG_VALUES;
use super::schema_check::{problems, without_nulls};
use super::{
    ClusterDevOpsPolicy, ClusterDevOpsPolicySpec, DevOpsPolicy, DevOpsPolicySpec, EffectivePolicy,
    PolicyError,
};

/// The kind of a cluster policy.
pub(super) const CLUSTER_KIND: &str = "ClusterDevOpsPolicy";

/// The reason why a manifest is not a valid policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyManifestError {
    /// The text is not valid YAML or JSON.
    #[error("not valid YAML: line {line}: {message}")]
    Syntax {
        /// The problem.
        message: String,
        /// The line, from 1.
        line: usize,
    },
    /// The document is another kind of object.
    #[error(
        "expected a DevOpsPolicy or ClusterDevOpsPolicy of devops.stochastic.io/v1, found {kind:?} of {api_version:?}"
    )]
    OtherKind {
        /// The `apiVersion` that was found.
        api_version: String,
        /// The kind that was found.
        kind: String,
    },
    /// Fields are unknown or have invalid values.
    #[error("{}", .0.join("; "))]
    Fields(Vec<String>),
    /// The text holds no document, or several.
    #[error("expected one DevOpsPolicy, found {0} documents")]
    Count(usize),
    /// The policy cannot be compiled.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl EffectivePolicy {
    /// Reads the one policy of a manifest in YAML or JSON.
    pub fn from_manifest(text: &str) -> Result<Self, PolicyManifestError> {
        Ok(Self::from_spec(&DevOpsPolicySpec::from_manifest(text)?)?)
    }
}

impl DevOpsPolicySpec {
    /// Reads the spec of the one policy of a manifest in YAML or JSON, and validates it with the CRD's schema.
    pub fn from_manifest(text: &str) -> Result<Self, PolicyManifestError> {
        Self::from_document(&only_document(text)?)
    }

    /// Validates a manifest with the CRD's schema, and returns its spec. The manifest has no nulls.
    pub(super) fn from_document(manifest: &Value) -> Result<Self, PolicyManifestError> {
        let field = |name: &str| manifest.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (api_version, kind) = (field("apiVersion"), field("kind"));
        let is_cluster = kind == CLUSTER_KIND;
        if api_version != "devops.stochastic.io/v1" || !(is_cluster || kind == "DevOpsPolicy") {
            return Err(PolicyManifestError::OtherKind { api_version, kind });
        }
        let found = manifest_problems(manifest, is_cluster);
        if !found.is_empty() {
            return Err(PolicyManifestError::Fields(found));
        }
        let spec = manifest.get("spec").cloned().unwrap_or_default();
        let misfit = |error: serde_json::Error| PolicyManifestError::Fields(vec![error.to_string()]);
        if is_cluster {
            let spec: ClusterDevOpsPolicySpec = serde_json::from_value(spec).map_err(misfit)?;
            let found = selector_problems(&spec);
            return if found.is_empty() { Ok(spec.policy) } else { Err(PolicyManifestError::Fields(found)) };
        }
        // A test proves that every spec that the schema allows fits the type.
        serde_json::from_value(spec).map_err(misfit)
    }
}

/// Reads the documents of a stream, each with the line before it. Empty documents are left out.
pub(super) fn documents(text: &str) -> Result<Vec<(usize, Value)>, PolicyManifestError> {
    let mut documents = Vec::new();
    for chunk in chunks(text.as_bytes(), true) {
        let syntax = |error: &yaml::Error| PolicyManifestError::Syntax {
            message: error.to_string(),
            line: chunk.lines_before + error.line().unwrap_or(1),
        };
        let text = chunk.text().map_err(|error| syntax(&error))?;
        // JSON is read as such, as kubectl does. In YAML, some characters of its texts would be line breaks.
        let json = if text.trim_start().starts_with('{') { serde_json::from_str(&text).ok() } else { None };
        let document = if let Some(document) = json {
            document
        } else {
            let document = Document::parse(&text).map_err(|error| syntax(&error))?;
            Value::deserialize(document.root()).map_err(|error| syntax(&error))?
        };
        if document != Value::Null {
            documents.push((chunk.lines_before, document));
        }
    }
    Ok(documents)
}

/// Returns the single document without null values.
pub(super) fn only_document(text: &str) -> Result<Value, PolicyManifestError> {
    let mut documents = documents(text)?;
    match (documents.pop(), documents.len()) {
        (Some((_, document)), 0) => Ok(without_nulls(document)),
        (last, others) => Err(PolicyManifestError::Count(others + usize::from(last.is_some()))),
    }
}

/// Returns the keys that a manifest repeats, with their lines, from 1; the last one counts, as with kubectl.
pub fn repeated_keys(text: &str) -> Vec<Repeated> {
    let mut found = Vec::new();
    for chunk in chunks(text.as_bytes(), true) {
        let Ok(text) = chunk.text() else { continue };
        let Ok(document) = Document::parse(&text) else { continue };
        let in_stream =
            |repeated: &Repeated| Repeated { line: chunk.lines_before + repeated.line, ..repeated.clone() };
        found.extend(document.repeated().iter().map(in_stream));
    }
    found
}

/// Returns the requirements of a selector whose operator does not fit their values.
fn selector_problems(spec: &ClusterDevOpsPolicySpec) -> Vec<String> {
    let requirements = spec.namespace_selector.match_expressions.iter().flatten().enumerate();
    let misfits = requirements.filter(|(_, requirement)| {
        let has_values = requirement.values.as_ref().is_some_and(|values| !values.is_empty());
        matches!(requirement.operator.as_str(), "In" | "NotIn") != has_values
    });
    let text =
        |(index, _)| format!("spec.namespaceSelector.matchExpressions[{index}].values: {WRONG_VALUES}");
    misfits.map(text).collect()
}

fn manifest_problems(manifest: &Value, is_cluster: bool) -> Vec<String> {
    let mut found = Vec::new();
    for name in manifest.as_object().into_iter().flat_map(|fields| fields.keys()) {
        if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&name.as_str()) {
            found.push(format!("{name}: there is no such field; all settings of a policy are in spec"));
        }
    }
    found.extend(name_problem(manifest));
    found.extend(metadata_problems(manifest));
    if is_cluster && manifest.pointer("/metadata/namespace").is_some() {
        found.push(format!("metadata.namespace: a {CLUSTER_KIND} has none: take it out"));
    }
    let schema = if is_cluster { schema_of_cluster_spec() } else { schema_of_spec() };
    match (manifest.get("spec"), schema) {
        (Some(spec), Some(schema)) => found.extend(problems(spec, &schema, "spec")),
        (None, _) if is_cluster => {
            found.push("spec.namespaceSelector: must be there, and is missing".to_owned());
        }
        (None, _) => found.push("spec: required; use {} for an empty spec".to_owned()),
        (Some(_), None) => {}
    }
    found
}

/// Returns the problem of the policy's name.
fn name_problem(manifest: &Value) -> Option<String> {
    let Some(name) = manifest.pointer("/metadata/name") else {
        let generated = manifest.pointer("/metadata/generateName").is_some();
        return (!generated).then(|| "metadata.name: must be there, and is missing".to_owned());
    };
    let label = |label: &str| {
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = label.as_bytes();
        edge(bytes.first()) && edge(bytes.last())
    };
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let valid = name
        .as_str()
        .is_some_and(|name| name.len() <= 253 && name.chars().all(allowed) && name.split('.').all(label));
    (!valid).then(|| {
        format!(
            "metadata.name: must be lowercase letters, digits, - and ., beginning and ending with a letter or digit, \
             and is {name}"
        )
    })
}

/// Returns the fields of the metadata that the API server refuses or an import would lose.
fn metadata_problems(manifest: &Value) -> Vec<String> {
    let Some(metadata) = manifest.get("metadata") else { return Vec::new() };
    let not_text = |path: String, value: &Value| {
        (!value.is_string()).then(|| format!("{path}: must be text: write it in quotes, and is {value}"))
    };
    let mut found = Vec::new();
    if let Some(namespace) = metadata.get("namespace") {
        found.extend(not_text("metadata.namespace".to_owned(), namespace));
    }
    for field in ["labels", "annotations"] {
        match metadata.get(field) {
            None => {}
            Some(Value::Object(texts)) => {
                let problems = texts.iter();
                found.extend(
                    problems.filter_map(|(key, value)| not_text(format!("metadata.{field}.{key}"), value)),
                );
            }
            Some(other) => {
                found.push(format!("metadata.{field}: must be a map of names and texts, and is {other}"));
            }
        }
    }
    match metadata.get("finalizers") {
        None => {}
        Some(Value::Array(items)) => {
            let problems = items.iter().enumerate();
            found.extend(
                problems.filter_map(|(index, item)| not_text(format!("metadata.finalizers[{index}]"), item)),
            );
        }
        Some(other) => found.push(format!("metadata.finalizers: must be a list, and is {other}")),
    }
    found
}

/// Returns the schema with which the API server validates specs.
pub(super) fn schema_of_spec() -> Option<JSONSchemaProps> {
    spec_of(DevOpsPolicy::crd())
}

fn schema_of_cluster_spec() -> Option<JSONSchemaProps> {
    spec_of(ClusterDevOpsPolicy::crd())
}

fn spec_of(crd: CustomResourceDefinition) -> Option<JSONSchemaProps> {
    let version = crd.spec.versions.into_iter().next()?;
    version.schema?.open_api_v3_schema?.properties?.remove("spec")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\nmetadata: {name: p}\n";

    fn error(text: &str) -> String {
        EffectivePolicy::from_manifest(text).unwrap_err().to_string()
    }

    #[test]
    fn a_policy_is_read() {
        let policy =
            EffectivePolicy::from_manifest(&format!("---\n# mine\n{HEAD}spec: {{forbidLatestTag: true}}\n"));
        assert_eq!(policy.unwrap().rules().len(), 1);
    }

    #[test]
    fn an_unknown_field_is_reported_with_the_known_ones() {
        let text = error(&format!("{HEAD}spec: {{forbidLatest: true, defaultProbe: {{port: 1}}}}\n"));
        assert_eq!(
            text.split("; spec.forbidLatest").next().unwrap(),
            "spec.defaultProbe.port: there is no such field; the fields here are initialDelaySeconds, \
             periodSeconds, tcpPort"
        );
        assert!(text.contains("; spec.forbidLatest: there is no such field; the fields here are"), "{text}");
    }

    #[test]
    fn a_wrong_value_is_reported_with_the_expected_ones() {
        let spec = |spec: &str| error(&format!("{HEAD}spec: {{{spec}}}\n"));
        for (given, expected) in [
            (
                "maxRestartCount: many",
                "spec.maxRestartCount: must be a whole number, at least 0 and at most 2147483647, and is \"many\"",
            ),
            (
                "defaultProbe: {tcpPort: 0}",
                "spec.defaultProbe.tcpPort: must be a whole number from 1 to 65535, and is 0",
            ),
            ("forbidLatestTag: \"yes\"", "spec.forbidLatestTag: must be true or false, and is \"yes\""),
            ("forbidLatestTag: yse", "spec.forbidLatestTag: must be true or false, and is \"yse\""),
            (
                "severityOverrides: {pending: hgih}",
                "spec.severityOverrides.pending: must be one of low, medium, high and critical, and is \"hgih\"",
            ),
            ("enforcementMode: dry", "spec.enforcementMode: must be audit or enforce, and is \"dry\""),
            ("rules: pending", "spec.rules: must be a list, and is \"pending\""),
            ("rules: [{}]", "spec.rules[0].id: must be there, and is missing"),
            ("admission: true", "spec.admission: must be a map of fields, and is true"),
            (
                "defaultResources: {cpuLimit: 0.5}",
                "spec.defaultResources.cpuLimit: must be a whole number or text: write \"0.5\" in quotes, and is 0.5",
            ),
        ] {
            assert_eq!(spec(given), expected);
        }
    }

    #[test]
    fn the_last_of_repeated_keys_counts_and_null_is_absent() {
        let text = format!("# mine\n{HEAD}spec:\n  maxRestartCount: 1\n  maxRestartCount: 2\n");
        assert_eq!(DevOpsPolicySpec::from_manifest(&text).unwrap().max_restart_count, Some(2));
        assert_eq!(repeated_keys(&text), [Repeated { key: "maxRestartCount".to_owned(), line: 7 }]);
        let text = format!(
            "{HEAD}spec: {{forbidLatestTag: null, enforcementMode: null, admission: {{denyAt: }}}}\n"
        );
        assert!(EffectivePolicy::from_manifest(&text).unwrap().rules().is_empty());
    }

    #[test]
    fn a_policy_is_yaml_as_kubectl_reads_it() {
        let text = format!(
            "{HEAD}spec: {{forbidLatestTag: on, requireLivenessProbe: yes, maxRestartCount: 0o12}}\n"
        );
        let spec = DevOpsPolicySpec::from_manifest(&text).unwrap();
        assert_eq!((spec.forbid_latest_tag, spec.max_restart_count), (Some(true), Some(10)));
        let spec = |spec: &str| error(&format!("{HEAD}spec: {{{spec}}}\n"));
        assert!(spec("1: x").starts_with("spec.1: there is no such field"), "{}", spec("1: x"));
        assert!(spec("? {a: b} : x").contains("line 4: a key can't be a list or a map"));
        assert!(spec("maxRestartCount: .inf").contains("line 4: JSON has no number for `.inf`"));
        assert!(spec("maxRestartCount: !no 1").ends_with("and is \"1\""));
        assert!(spec("maxRestartCount: 2.50").ends_with("and is 2.5"));
    }

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        let text = format!("{HEAD}spec: {{maxRestartCount: 3.0, defaultResources: {{memoryLimit: 1e3}}}}\n");
        let spec = DevOpsPolicySpec::from_manifest(&text).unwrap();
        assert_eq!(spec.max_restart_count, Some(3));
        assert_eq!(spec.default_resources.unwrap().memory_limit, Some(super::super::Amount::Number(1000)));
    }

    #[test]
    fn a_list_that_is_too_long_is_refused_as_a_whole() {
        let rules = vec!["{id: pending}"; 101].join(", ");
        let text = error(&format!("{HEAD}spec: {{rules: [{rules}]}}\n"));
        assert_eq!(text, "spec.rules: must have at most 100 items, and has 101");
    }

    #[test]
    fn a_policy_has_a_name_and_a_spec_and_nothing_else() {
        let head = "apiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\n";
        assert_eq!(error(&format!("{head}spec: {{}}")), "metadata.name: must be there, and is missing");
        assert!(
            error(&format!("{head}metadata: {{name: My_Policy}}\nspec: {{}}"))
                .starts_with("metadata.name: must be lower")
        );
        assert!(error(HEAD).starts_with("spec: required"));
        assert!(
            error(&format!("{HEAD}spec: {{}}\nrules: []\n")).starts_with("rules: there is no such field")
        );
    }

    #[test]
    fn metadata_that_would_be_lost_is_refused() {
        let of = |metadata: &str| {
            error(&format!(
                "apiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\nmetadata: {{name: p, {metadata}}}\nspec: {{}}\n"
            ))
        };
        for (metadata, expected) in [
            ("labels: {team: true}", "metadata.labels.team: must be text: write it in quotes, and is true"),
            (
                "annotations: {version: 1}",
                "metadata.annotations.version: must be text: write it in quotes, and is 1",
            ),
            ("labels: [a]", "metadata.labels: must be a map of names and texts, and is [\"a\"]"),
            ("namespace: 7", "metadata.namespace: must be text: write it in quotes, and is 7"),
            ("finalizers: [a, 1]", "metadata.finalizers[1]: must be text: write it in quotes, and is 1"),
            ("finalizers: a", "metadata.finalizers: must be a list, and is \"a\""),
        ] {
            assert_eq!(of(metadata), expected);
        }
    }

    #[test]
    fn a_cluster_policy_needs_a_selector_that_the_api_server_would_accept() {
        let head = "apiVersion: devops.stochastic.io/v1\nkind: ClusterDevOpsPolicy\n";
        let of = |spec: &str| {
            EffectivePolicy::from_manifest(&format!("{head}metadata: {{name: p}}\nspec: {{{spec}}}\n"))
        };
        let rules = of("namespaceSelector: {}, forbidLatestTag: true").unwrap();
        assert_eq!(rules.rules().len(), 1);
        let missing = "spec.namespaceSelector: must be there, and is missing";
        assert_eq!(of("forbidLatestTag: true").unwrap_err().to_string(), missing);
        let requirement = |text: &str| {
            of(&format!("namespaceSelector: {{matchExpressions: [{{{text}}}]}}"))
                .map(drop)
                .map_err(|error| error.to_string())
        };
        assert_eq!(requirement("key: team, operator: In, values: [a]"), Ok(()));
        assert_eq!(requirement("key: team, operator: Exists"), Ok(()));
        let wrong = "spec.namespaceSelector.matchExpressions[0].values: In and NotIn need values; Exists and DoesNotExist \
                     have none";
        assert_eq!(requirement("key: team, operator: In"), Err(wrong.to_owned()));
        assert_eq!(requirement("key: team, operator: Exists, values: [a]"), Err(wrong.to_owned()));
        assert!(requirement("key: team, operator: Like").unwrap_err().contains("must be one of In, NotIn"));
        let placed =
            format!("{head}metadata: {{name: p, namespace: shop}}\nspec: {{namespaceSelector: {{}}}}\n");
        assert_eq!(error(&placed), "metadata.namespace: a ClusterDevOpsPolicy has none: take it out");
    }

    #[test]
    fn another_kind_no_document_and_two_are_refused() {
        assert!(error("apiVersion: v1\nkind: Pod\n").contains("found \"Pod\" of \"v1\""));
        assert_eq!(error("# nothing\n"), "expected one DevOpsPolicy, found 0 documents");
        assert_eq!(error(&format!("{HEAD}---\n{HEAD}")), "expected one DevOpsPolicy, found 2 documents");
    }
}
