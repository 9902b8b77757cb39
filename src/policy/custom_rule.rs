//! The rules of a policy's own: an expression in CEL over each object of some kinds.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::expression::{EvaluationError, Expression};
use crate::rules::{self, Category, Rule, Severity};
use crate::workload::{Kind, Kinds, WorkloadKind, WorkloadKinds};

/// The most rules of its own that a policy or a file can have.
pub const MOST_CUSTOM_RULES: usize = 32;
/// The most characters of an id.
const ID: usize = 63;
/// The most characters of a message.
const MESSAGE: usize = 250;
/// The variables of an expression, as `ValidatingAdmissionPolicy` names them.
const VARIABLES: &[&str] = &["object", "namespaceObject", "params"];
/// The place of `namespaceObject` among the variables.
const NAMESPACE: usize = 1;

/// A rule of the policy's own, in CEL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomRuleSpec {
    /// The rule's id: lowercase words, joined by dashes. A rule of kube-devops with this id must not exist.
    #[schemars(length(min = 1, max = 63), extend("pattern" = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"))]
    pub id: String,
    /// The objects that the rule is about.
    #[serde(rename = "match")]
    pub matches: CustomRuleMatch,
    /// The expression in CEL that is true for a good object. Its variables are object, namespaceObject and params.
    #[schemars(length(min = 1, max = 4096))]
    pub expression: String,
    /// The problem and its remedy, as a violation shows it.
    #[schemars(length(min = 1, max = 250))]
    pub message: String,
    /// The severity of a violation; medium if absent.
    pub severity: Option<Severity>,
    /// Values that the expression reads as params, in any form.
    #[schemars(with = "Option<AnyFields>")]
    pub params: Option<Map<String, Json>>,
}

/// The objects that a rule of the policy's own is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomRuleMatch {
    /// The kinds. A rule about Pods evaluates every pod, also those of a Deployment.
    #[schemars(schema_with = "kinds")]
    pub kinds: Vec<String>,
}

fn kinds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": WorkloadKind::ADMITTED.len(), "x-kubernetes-list-type": "set",
        "items": { "type": "string", "enum": kind_names() },
    })
}

/// The fields of params. Only its schema is used; no value of it exists.
struct AnyFields;

impl JsonSchema for AnyFields {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AnyFields".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
    }
}

/// A rule of a policy's own, ready to evaluate objects.
#[derive(Debug)]
pub struct CustomRule {
    /// The kinds of the objects that it evaluates.
    pub kinds: WorkloadKinds,
    /// The message of a violation.
    pub message: String,
    expression: Expression,
    params: Json,
}

/// A rule of a policy's own that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("customRules[{index}].{field}: {problem}")]
pub struct CustomRuleError {
    /// The place in `customRules`.
    pub index: usize,
    /// The field.
    pub field: &'static str,
    /// The problem, and how to fix it.
    pub problem: String,
}

impl CustomRule {
    /// Returns true if the rule reads the Namespace of an object.
    pub fn reads_namespace(&self) -> bool {
        self.expression.uses(NAMESPACE)
    }

    /// Returns the kinds that the rule reads beside pods.
    pub fn reads(&self) -> Kinds {
        let is_about_templates = WorkloadKind::ADMITTED
            .iter()
            .any(|kind| *kind != WorkloadKind::Pod && self.kinds.contains(*kind));
        let templates = is_about_templates.then_some(Kind::Template);
        let namespaces = self.reads_namespace().then_some(Kind::Namespace);
        Kinds::of(&templates.into_iter().chain(namespaces).collect::<Vec<_>>())
    }

    /// Returns true if an object is good. `namespace` is its Namespace; `None` if that is unknown.
    pub fn evaluate(&self, object: &Json, namespace: Option<&Json>) -> Result<bool, EvaluationError> {
        self.expression.evaluate(&[Some(object), namespace, Some(&self.params)])
    }
}

/// A rule of a policy's own with its severity.
type Compiled = (&'static Rule, Severity, Arc<CustomRule>);

/// Compiles the rules of a policy's own.
pub(super) fn compile(specs: &[CustomRuleSpec]) -> Result<Vec<Compiled>, CustomRuleError> {
    let mut compiled = Vec::new();
    let mut ids = BTreeSet::new();
    for (index, spec) in specs.iter().enumerate() {
        let error = |field, problem| CustomRuleError { index, field, problem };
        if specs.len() > MOST_CUSTOM_RULES {
            return Err(error(
                "id",
                format!("there are more than {MOST_CUSTOM_RULES} rules: use several policies"),
            ));
        }
        let rule = rule_of(&spec.id).map_err(|problem| error("id", problem))?;
        if !ids.insert(rule.id) {
            return Err(error("id", format!("{} is there already: rename one of the two", rule.id)));
        }
        if spec.message.trim().is_empty() || spec.message.chars().count() > MESSAGE {
            return Err(error("message", format!("must have between 1 and {MESSAGE} characters")));
        }
        let kinds = kinds_of(&spec.matches.kinds).map_err(|problem| error("match.kinds", problem))?;
        let expression = Expression::parse(&spec.expression, VARIABLES);
        let expression = expression.map_err(|problem| error("expression", problem.to_string()))?;
        let params = Json::Object(spec.params.clone().unwrap_or_default());
        let custom = CustomRule { kinds, message: spec.message.clone(), expression, params };
        compiled.push((rule, spec.severity.unwrap_or(Severity::Medium), Arc::new(custom)));
    }
    Ok(compiled)
}

/// Returns the rule with an id that a user chose.
fn rule_of(id: &str) -> Result<&'static Rule, String> {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let starts_well = id.starts_with(|c: char| c.is_ascii_lowercase());
    if id.len() > ID || !starts_well || !id.split('-').all(is_word) {
        return Err(format!(
            "must be lowercase words, joined by dashes, of at most {ID} characters, and is {id:?}"
        ));
    }
    let is_taken = rules::find(id).is_some()
        || Category::ALL.iter().any(|category| category.as_str() == id)
        || ["default", "recommended", "all"].contains(&id);
    if is_taken {
        return Err(format!(
            "{id} is the name of a rule or a set of rules of kube-devops: choose another id"
        ));
    }
    rules::custom(id).ok_or_else(|| "this process has seen too many ids of rules: restart it".to_owned())
}

fn kinds_of(names: &[String]) -> Result<WorkloadKinds, String> {
    let find = |name: &String| {
        let kind = WorkloadKind::ADMITTED.into_iter().find(|kind| kind.name() == *name);
        kind.ok_or_else(|| format!("{name:?} is none of {}", kind_names().join(", ")))
    };
    let kinds = names.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    if kinds.is_empty() { Err("must name a kind".to_owned()) } else { Ok(WorkloadKinds::of(kinds)) }
}

fn kind_names() -> Vec<&'static str> {
    WorkloadKind::ADMITTED.iter().map(|kind| kind.name()).collect()
}

#[cfg(test)]
mod tests;
