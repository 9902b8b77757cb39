//! The severities that a policy overrides, by rule, and their schema.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::named_fields::{NAMED_FIELDS, override_names};
use crate::rules::{Rule, Severity};

/// Severities that replace those of the rules, by the rule's id or by its former name such as latestTag.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeverityOverrides(pub BTreeMap<String, Severity>);

impl JsonSchema for SeverityOverrides {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SeverityOverrides".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let severities = Severity::ALL.map(Severity::as_str);
        let property = |(name, rule): (&'static str, &'static Rule)| {
            let id = rule.id;
            let description = if name == id.as_str() {
                format!("The severity of rule {id}.")
            } else {
                format!("The severity of rule {id}, by the rule's former name.")
            };
            (name.to_owned(), json!({ "type": "string", "enum": severities, "description": description }))
        };
        let twice =
            NAMED_FIELDS.iter().filter(|field| field.severity != field.rule.id.as_str()).map(|field| {
                let id = field.rule.id.as_str().replace('-', "__dash__");
                json!({
                    "rule": format!("!has(self.{}) || !has(self.{id})", field.severity),
                    "message": overridden_twice(field.rule),
                    "fieldPath": format!(".{}", field.severity),
                })
            });
        json_schema!({
            "type": "object",
            "properties": override_names().map(property).collect::<Map<_, _>>(),
            "x-kubernetes-validations": twice.collect::<Vec<_>>(),
        })
    }
}

/// Returns the message for a severity that is overridden under two names, for the API server and for files.
pub(super) fn overridden_twice(rule: &Rule) -> String {
    format!("the severity of rule {} is overridden under two names: remove one", rule.id)
}
