//! The parts of the schema that no type has, because they follow from the registry of rules.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, json};

use crate::rules::{RULES, Rule, Severity};

/// The severities of rules, by id.
pub(super) fn severities(_: &mut SchemaGenerator) -> Schema {
    let severities = Severity::ALL.map(Severity::as_str);
    let property = |rule: &&'static Rule| {
        let description = format!("The severity of rule {}: {}.", rule.id, rule.summary);
        let schema = json!({ "type": "string", "enum": severities, "description": description });
        (rule.id.as_str().to_owned(), schema)
    };
    json_schema!({
        "type": "object",
        "properties": RULES.iter().map(property).collect::<Map<_, _>>(),
        "additionalProperties": false,
    })
}

/// A list of rule ids, or null.
pub(super) fn rule_ids(_: &mut SchemaGenerator) -> Schema {
    let ids: Vec<_> = RULES.iter().map(|rule| rule.id.as_str()).collect();
    json_schema!({
        "type": ["array", "null"],
        "items": { "type": "string", "enum": ids },
    })
}

/// A day, or null.
pub(super) fn date(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "format": "date" })
}

/// A percentage, or null.
pub(super) fn percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["number", "string", "null"], "minimum": 0, "maximum": 100 })
}
