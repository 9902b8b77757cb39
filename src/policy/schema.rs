//! The parts of a policy's schema that follow from the rule registry, so that no second list of rules is needed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, json};

use super::named_fields::NAMED_FIELDS;
use crate::rules::{Parameter, RULES, Rule, Value};

/// The schema key of CEL checks.
const VALIDATIONS: &str = "x-kubernetes-validations";

/// The most characters of a parameter that is text.
const TEXT: u32 = 253;

/// The ids of all rules.
pub(super) fn rule_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 63, "enum": RULES.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>() })
}

/// The parameters of all rules, by name. Only its schema is used; no value of it exists.
pub(super) struct RuleParameters;

impl JsonSchema for RuleParameters {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RuleParameters".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let properties = by_parameter().into_iter().map(|(name, rules)| {
            let described = rules.iter().map(|(rule, parameter)| {
                format!("{} (rule {}; {} when absent).", parameter.summary, rule.id, parameter.default)
            });
            let description = described.collect::<Vec<_>>().join(" ");
            let mut schema = match rules.first().map(|(_, parameter)| &parameter.default) {
                Some(Value::Boolean(_)) => json!({ "type": "boolean" }),
                Some(Value::Text(_)) => json!({ "type": "string", "maxLength": TEXT }),
                Some(Value::Texts(_)) => json!({
                    "type": "array", "maxItems": 64, "items": { "type": "string", "maxLength": TEXT },
                    "x-kubernetes-list-type": "set",
                }),
                _ => json!({ "type": "integer", "format": "int32", "minimum": 0, "maximum": i32::MAX }),
            };
            schema["description"] = description.into();
            (name.to_owned(), schema)
        });
        json_schema!({ "type": "object", "properties": properties.collect::<Map<_, _>>() })
    }
}

/// Adds a check to the schema of a selected rule: its parameters must be the rule's own.
pub(super) fn check_parameters(schema: &mut Schema) {
    let checks = by_parameter().into_iter().map(|(name, rules)| {
        let ids = rules.iter().map(|(rule, _)| rule.id.as_str()).collect::<Vec<_>>();
        let quoted = ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
        json!({
            "rule": format!("!has(self.params) || !has(self.params.{name}) || self.id in [{quoted}]"),
            "message": foreign_parameter(name, &ids),
            "fieldPath": format!(".params.{name}"),
        })
    });
    schema.insert(VALIDATIONS.to_owned(), checks.collect());
}

/// Adds a check to the schema of a spec: a rule is turned on by its own field or in `rules`, not in both places.
pub(super) fn check_turned_on_once(schema: &mut Schema) {
    let checks = NAMED_FIELDS.iter().map(|field| {
        let id = field.rule.id;
        json!({
            "rule": format!("!has(self.rules) || !({}) || !self.rules.exists(r, r.id == '{id}')", field.turned_on),
            "message": turned_on_twice(field.names, field.rule),
            "fieldPath": ".rules",
        })
    });
    schema.insert(VALIDATIONS.to_owned(), checks.collect());
}

/// Adds a check to the schema of default resources: no request exceeds its limit.
pub(super) fn check_requests(schema: &mut Schema) {
    let checks = REQUESTS_AND_LIMITS.map(|(request, limit)| {
        let amount = |field: &str| format!("quantity(string(self.{field}))");
        let known = |field: &str| format!("has(self.{field}) && isQuantity(string(self.{field}))");
        json!({
            "rule": format!(
                "!({} && {}) || {}.compareTo({}) <= 0",
                known(request), known(limit), amount(request), amount(limit)
            ),
            "message": above_limit(limit),
            "fieldPath": format!(".{request}"),
        })
    });
    schema.insert(VALIDATIONS.to_owned(), checks.into());
}

/// Gives the fields of conditions the same bounds as [Kubernetes'
/// own](https://github.com/kubernetes/apimachinery/blob/v0.36.3/pkg/apis/meta/v1/types.go) conditions.
pub(super) fn bound_conditions(schema: &mut Schema) {
    let bounds = [
        ("type", json!({ "maxLength": 316 })),
        ("status", json!({ "enum": ["True", "False", "Unknown"] })),
        ("observedGeneration", json!({ "minimum": 0 })),
        ("reason", json!({ "minLength": 1, "maxLength": 1024 })),
        ("message", json!({ "maxLength": 32768 })),
    ];
    for (field, bounds) in bounds {
        let known =
            schema.pointer_mut(&format!("/items/properties/{field}")).and_then(|field| field.as_object_mut());
        if let (Some(known), serde_json::Value::Object(bounds)) = (known, bounds) {
            known.extend(bounds);
        }
    }
}

/// Bounds a label selector as the API server checks those of built-in kinds: a requirement has values exactly if its
/// operator compares with them.
pub(super) fn bound_selector(schema: &mut Schema) {
    let text = json!({ "type": "string", "maxLength": 63 });
    let requirements = json!({
        "maxItems": 64,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "description": "A requirement about one label.",
            "required": ["key", "operator"],
            "properties": {
                "key": { "type": "string", "maxLength": 317, "description": "The key of the label." },
                "operator": {
                    "type": "string",
                    "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                    "description": "The relation of the label to the values.",
                },
                "values": {
                    "type": "array",
                    "maxItems": 64,
                    "items": text,
                    "x-kubernetes-list-type": "atomic",
                    "description": "The values for In and NotIn.",
                },
            },
            VALIDATIONS: [{
                "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                "message": WRONG_VALUES,
                "fieldPath": ".values",
            }],
        },
        "type": "array",
        "description": "The requirements, all of which a namespace must meet.",
    });
    let labels = json!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": text,
        "description": "The labels that a namespace must have, with their values.",
    });
    schema
        .insert("properties".to_owned(), json!({ "matchExpressions": requirements, "matchLabels": labels }));
}

/// The message for a requirement that lacks values or has too many, for the API server and for files.
pub(super) const WRONG_VALUES: &str = "In and NotIn need values; Exists and DoesNotExist have none";

/// Makes the namespace a part of each record's key, and of each workload's name, in the status of a cluster policy.
pub(super) fn remediations_by_namespace(schema: &mut Schema) {
    let fields = [
        ("/properties/remediations", "x-kubernetes-list-map-keys", json!(["namespace", "kind", "name"])),
        ("/properties/remediations/items", "required", json!(["namespace", "kind", "name", "phase"])),
        ("/properties/remediatedWorkloads/items", "maxLength", json!(381)),
    ];
    for (path, field, value) in fields {
        if let Some(place) = schema.pointer_mut(path).and_then(|place| place.as_object_mut()) {
            place.insert(field.to_owned(), value);
        }
    }
}

/// The requests of default resources, each with its limit.
pub(super) const REQUESTS_AND_LIMITS: [(&str, &str); 2] =
    [("cpuRequest", "cpuLimit"), ("memoryRequest", "memoryLimit")];

/// Returns the message for a request above its limit, for the API server and for files.
pub(super) fn above_limit(limit: &str) -> String {
    format!("must not be above {limit}")
}

/// Returns the message for a parameter of other rules, for the API server and for files.
pub(super) fn foreign_parameter(name: &str, rules: &[&str]) -> String {
    format!("{name} is a parameter of rule {} only", rules.join(" and of rule "))
}

/// Returns the message for a rule that is turned on twice, for the API server and for files.
pub(super) fn turned_on_twice(fields: &[&str], rule: &Rule) -> String {
    format!("rule {} is turned on by {} already: take it out of rules", rule.id, fields.join(" or "))
}

/// Returns every parameter's name with the rules that have it.
pub(super) fn by_parameter() -> BTreeMap<&'static str, Vec<(&'static Rule, &'static Parameter)>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for rule in RULES.iter().copied() {
        for parameter in rule.parameters {
            found.entry(parameter.name).or_default().push((rule, parameter));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_one_name_have_one_type() {
        for (name, rules) in by_parameter() {
            let types: Vec<_> =
                rules.iter().map(|(_, parameter)| std::mem::discriminant(&parameter.default)).collect();
            assert!(types.iter().all(|one| *one == types[0]), "{name}: a field of a CRD has one type");
        }
    }

    #[test]
    fn every_named_field_is_a_field_of_the_spec() {
        let schema = schemars::schema_for!(super::super::DevOpsPolicySpec);
        for name in NAMED_FIELDS.iter().flat_map(|field| field.names) {
            assert!(schema.get("properties").unwrap().get(name).is_some(), "{name}");
        }
    }
}
