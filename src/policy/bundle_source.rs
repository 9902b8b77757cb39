//! A bundle as it is written in a file: before it takes over the settings of the bundle that it extends.

use serde_json::Value;

use super::bundle_error::BundleError;
use super::manifest::documents;

/// The `apiVersion` of bundles in files.
const API_VERSION: &str = "kube-devops/v1";
/// The kind of bundles in files.
pub(super) const KIND: &str = "PolicyBundle";
/// The fields of a bundle.
const FIELDS: [&str; 7] = ["apiVersion", "kind", "metadata", "description", "extends", "exclude", "spec"];

/// A bundle as it is written in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct BundleSource {
    /// Its name.
    pub name: String,
    /// Its purpose, in one line.
    pub description: String,
    /// The name of the bundle that it extends.
    pub extends: Option<String>,
    /// The ids of the rules that it takes out of the bundle that it extends.
    pub(super) exclude: Vec<String>,
    /// The settings of its own. A null takes a setting of the extended bundle out.
    pub(super) spec: Value,
}

impl BundleSource {
    /// Reads the bundles of a stream in YAML or JSON. Objects of other kinds are skipped.
    pub fn read_all(text: &str) -> Result<Vec<Self>, BundleError> {
        let mut found = Vec::new();
        for (lines_before, document) in documents(text)? {
            if document["kind"] == KIND {
                let read = Self::from_document(&document);
                found.push(read.map_err(|problem| BundleError::Source { line: lines_before + 1, problem })?);
            }
        }
        Ok(found)
    }

    fn from_document(document: &Value) -> Result<Self, String> {
        if document["apiVersion"] != API_VERSION {
            return Err(format!("apiVersion: must be {API_VERSION}, and is {}", document["apiVersion"]));
        }
        for name in document.as_object().into_iter().flat_map(|fields| fields.keys()) {
            if !FIELDS.contains(&name.as_str()) {
                return Err(format!("{name}: there is no such field; the fields are {}", FIELDS.join(", ")));
            }
        }
        let text = |path: &str| match document.pointer(path) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => {
                let field = path.trim_start_matches('/').replace('/', ".");
                Err(format!("{field}: must be text, and is {other}"))
            }
        };
        let name = text("/metadata/name")?.ok_or("metadata.name: must be there, and is missing")?;
        let exclude = match &document["exclude"] {
            Value::Null => Vec::new(),
            Value::Array(rules) => {
                let rules = rules.iter().map(|rule| rule.as_str().map(str::to_owned));
                rules.collect::<Option<_>>().ok_or("exclude: must be a list of the ids of rules")?
            }
            other => return Err(format!("exclude: must be a list of the ids of rules, and is {other}")),
        };
        Ok(Self {
            name,
            description: text("/description")?.unwrap_or_default(),
            extends: text("/extends")?,
            exclude,
            spec: document.get("spec").cloned().unwrap_or(Value::Null),
        })
    }
}
