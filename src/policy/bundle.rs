//! Bundles: the specs of policies under a name, built in or from files. A bundle can extend another.

use serde_json::{Map, Value, json};

use super::bundle_error::BundleError;
use super::bundle_source::{BundleSource, KIND};
use super::named_fields::fields_of;
use super::standard_bundle::StandardBundle;
use super::suggestion::rule_like;
use super::{DevOpsPolicySpec, EffectivePolicy, EnforcementMode, PolicyError};
use crate::rules;

/// The label of a policy with the name of the bundle that it was made from.
pub const BUNDLE_LABEL: &str = "devops.stochastic.io/bundle";

/// The files of the built-in bundles that are no published standard.
const BUILT_IN: [&str; 3] = [
    include_str!("bundles/baseline.yaml"),
    include_str!("bundles/restricted.yaml"),
    include_str!("bundles/permissive.yaml"),
];

/// A bundle, with the settings of the one that it extends.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Its name.
    pub name: String,
    /// Its purpose, in one line.
    pub description: String,
    /// The name of the bundle that it extends.
    pub extends: Option<String>,
    /// The spec of its policy, without fields that nobody set.
    spec: Value,
    /// The same, parsed.
    parsed: DevOpsPolicySpec,
    rules: EffectivePolicy,
}

/// Bundles by name.
#[derive(Debug)]
pub struct Bundles {
    all: Vec<Bundle>,
}

impl Bundles {
    /// Returns the built-in bundles.
    pub fn built_in() -> Result<Self, BundleError> {
        Self::with(&[])
    }

    /// Returns the built-in bundles and those of files, which may extend each other and the built-in ones.
    pub fn with(sources: &[BundleSource]) -> Result<Self, BundleError> {
        let mut all = Vec::new();
        for level in StandardBundle::ALL {
            let mut bundle = Bundle::new(level.as_str(), level.description(), None, level.spec())?;
            // Findings of a standard are listed and leave the score of `analyze` alone.
            bundle.rules = level.policy();
            all.push(bundle);
        }
        let mut waiting = Vec::new();
        for text in BUILT_IN {
            waiting.extend(BundleSource::read_all(text)?);
        }
        waiting.extend_from_slice(sources);
        let standard = all.iter().map(|bundle| &bundle.name);
        let mut known: Vec<_> = waiting.iter().map(|source| &source.name).chain(standard).cloned().collect();
        known.sort();
        if let Some([name, _]) = known.array_windows().find(|[one, other]| one == other) {
            return Err(BundleError::Repeated(name.clone()));
        }
        while !waiting.is_empty() {
            let is_ready = |source: &BundleSource| match &source.extends {
                Some(parent) => all.iter().any(|bundle| &bundle.name == parent),
                None => true,
            };
            let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
            if ready.is_empty() {
                return Err(unresolved(&rest, known));
            }
            for source in &ready {
                let parent =
                    source.extends.as_ref().and_then(|name| all.iter().find(|other| &other.name == name));
                let bundle = Bundle::extending(parent, source)?;
                all.push(bundle);
            }
            waiting = rest;
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { all })
    }

    /// Returns every bundle, sorted by name.
    pub fn all(&self) -> &[Bundle] {
        &self.all
    }

    /// Returns the bundle of a name.
    pub fn find(&self, name: &str) -> Result<&Bundle, BundleError> {
        self.all.iter().find(|bundle| bundle.name == name).ok_or_else(|| BundleError::Unknown {
            name: name.to_owned(),
            known: self.all.iter().map(|bundle| bundle.name.clone()).collect(),
        })
    }
}

/// Returns the reason why bundles wait for ones that they extend.
fn unresolved(waiting: &[BundleSource], known: Vec<String>) -> BundleError {
    let mut circle = Vec::new();
    for source in waiting {
        match &source.extends {
            Some(name) if !known.contains(name) => {
                return BundleError::UnknownParent { bundle: source.name.clone(), name: name.clone(), known };
            }
            _ => circle.push(source.name.clone()),
        }
    }
    BundleError::Circle(circle)
}

impl Bundle {
    fn new(name: &str, description: &str, extends: Option<&str>, spec: Value) -> Result<Self, BundleError> {
        let invalid = |error| BundleError::Spec { bundle: name.to_owned(), error };
        let parsed = DevOpsPolicySpec::from_document(&manifest(name, &spec)).map_err(invalid)?;
        let rules = EffectivePolicy::from_spec(&parsed);
        let rules = rules.map_err(|error: PolicyError| invalid(error.into()))?;
        Ok(Self {
            name: name.to_owned(),
            description: description.to_owned(),
            extends: extends.map(str::to_owned),
            spec,
            parsed,
            rules,
        })
    }

    fn extending(parent: Option<&Self>, source: &BundleSource) -> Result<Self, BundleError> {
        let mut spec = parent.map_or_else(|| json!({}), |parent| parent.spec.clone());
        for rule in &source.exclude {
            exclude(&mut spec, rule)
                .map_err(|problem| BundleError::Exclude { bundle: source.name.clone(), problem })?;
        }
        merge(&mut spec, &source.spec);
        Self::new(&source.name, &source.description, source.extends.as_deref(), spec)
    }

    /// Returns the rules under which `analyze` evaluates. Those of a published standard have no part in the score.
    pub fn policy(&self) -> &EffectivePolicy {
        &self.rules
    }

    /// Returns the mode of its policy.
    pub fn mode(&self) -> EnforcementMode {
        self.parsed.enforcement_mode
    }

    /// Returns the spec of its policy.
    pub fn spec(&self) -> &DevOpsPolicySpec {
        &self.parsed
    }

    /// Returns the `DevOpsPolicy` of the bundle, in its own mode unless another one is given.
    pub fn manifest(&self, name: &str, namespace: Option<&str>, mode: Option<EnforcementMode>) -> Value {
        let mut policy = manifest(name, &self.spec);
        policy["metadata"]["labels"] = json!({ BUNDLE_LABEL: self.name });
        if let Some(namespace) = namespace {
            policy["metadata"]["namespace"] = json!(namespace);
        }
        if let Some(mode) = mode {
            policy["spec"]["enforcementMode"] = json!(mode);
        }
        policy
    }

    /// Returns a copy of the bundle as an object for a file, under another name and with the settings of the one that it
    /// extends.
    pub fn source(&self) -> Value {
        json!({
            "apiVersion": "kube-devops/v1",
            "kind": KIND,
            "metadata": { "name": format!("my-{}", self.name) },
            "description": self.description,
            "spec": self.spec,
        })
    }
}

fn manifest(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "devops.stochastic.io/v1",
        "kind": "DevOpsPolicy",
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// Takes a rule out of a spec, wherever it is turned on, and its severity too.
fn exclude(spec: &mut Value, id: &str) -> Result<(), String> {
    let rule = rules::find(id).ok_or_else(|| format!("there is no rule {id:?}{}", rule_like(id)))?;
    let mut was_on = false;
    if let Some(list) = spec.get_mut("rules").and_then(Value::as_array_mut) {
        let count = list.len();
        list.retain(|selection| selection["id"] != id);
        was_on = list.len() < count;
    }
    if let Some(fields) = spec.as_object_mut() {
        for field in fields_of(rule).iter().filter(|field| **field != "rules") {
            was_on |= fields.remove(*field).is_some();
        }
        if let Some(severities) = fields.get_mut("severityOverrides").and_then(Value::as_object_mut) {
            severities
                .retain(|name, _| super::named_fields::overridden(name).is_none_or(|of| of.id != rule.id));
            if severities.is_empty() {
                fields.remove("severityOverrides");
            }
        }
    }
    if was_on { Ok(()) } else { Err(format!("rule {id} is off already: take it out of exclude")) }
}

/// Merges settings into others: maps by field, `rules` and `customRules` by id, and everything else by replacing it. A null removes.
pub(super) fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                match (name.as_str(), into.get_mut(name), value) {
                    (_, _, Value::Null) => {
                        into.remove(name);
                    }
                    ("rules" | "customRules", Some(Value::Array(rules)), Value::Array(more)) => {
                        merge_rules(rules, more);
                    }
                    (_, Some(field), _) => merge(field, value),
                    (_, None, _) => {
                        let mut field =
                            if value.is_object() { Value::Object(Map::new()) } else { Value::Null };
                        merge(&mut field, value);
                        into.insert(name.clone(), field);
                    }
                }
            }
        }
        (_, Value::Null) => {}
        (into, from) => *into = from.clone(),
    }
}

fn merge_rules(rules: &mut Vec<Value>, more: &[Value]) {
    for selection in more {
        match rules.iter_mut().find(|rule| rule["id"] == selection["id"]) {
            Some(rule) => merge(rule, selection),
            None => rules.push(selection.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
