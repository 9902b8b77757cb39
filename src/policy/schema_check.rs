//! Checks a manifest against the schema of its CRD, as the API server would, with messages that name the allowed
//! values.
//!
//! CEL checks are not included: `effective` makes those.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::Value;

/// The most names that a message lists.
const SHOWN: usize = 16;

/// Returns the problems of a value, each with its path; none if the API server would accept the value.
pub(super) fn problems(value: &Value, schema: &JSONSchemaProps, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    check(value, schema, path, &mut found);
    found
}

/// Removes nulls from objects, as the API server does: a null counts as absent.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

fn check(value: &Value, schema: &JSONSchemaProps, path: &str, found: &mut Vec<String>) {
    let problem = if schema.x_kubernetes_int_or_string == Some(true) {
        not_an_amount(value, schema)
    } else {
        match schema.type_.as_deref() {
            Some("object") => return check_object(value, schema, path, found),
            Some("array") => return check_array(value, schema, path, found),
            Some("boolean") => (!value.is_boolean()).then(|| "must be true or false".to_owned()),
            Some("integer") => not_in_range(value, schema),
            Some("string") => not_the_text(value, schema),
            _ => None,
        }
    };
    found.extend(problem.map(|problem| format!("{path}: {problem}, and is {value}")));
}

fn check_object(value: &Value, schema: &JSONSchemaProps, path: &str, found: &mut Vec<String>) {
    let Value::Object(fields) = value else {
        return found.push(format!("{path}: must be a map of fields, and is {value}"));
    };
    let Some(properties) = &schema.properties else { return };
    for (name, value) in fields {
        let path = format!("{path}.{name}");
        match properties.get(name) {
            Some(schema) => check(value, schema, &path, found),
            None => found.push(format!("{path}: there is no such field; {}", names(properties.keys()))),
        }
    }
    for name in schema.required.iter().flatten().filter(|name| !fields.contains_key(*name)) {
        found.push(format!("{path}.{name}: must be there, and is missing"));
    }
}

fn check_array(value: &Value, schema: &JSONSchemaProps, path: &str, found: &mut Vec<String>) {
    let Value::Array(items) = value else {
        return found.push(format!("{path}: must be a list, and is {value}"));
    };
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    if let Some(most) = schema.max_items.filter(|most| length > *most) {
        return found.push(format!("{path}: must have at most {most} items, and has {length}"));
    }
    if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
        for (index, item) in items.iter().enumerate() {
            check(item, schema, &format!("{path}[{index}]"), found);
        }
    }
}

fn not_an_amount(value: &Value, schema: &JSONSchemaProps) -> Option<String> {
    match value {
        Value::String(text) => too_long(text, schema),
        Value::Number(number) if number.is_i64() => None,
        Value::Number(number) => {
            Some(format!("must be a whole number or text: write \"{number}\" in quotes"))
        }
        _ => Some("must be a whole number or text, such as 100m or 128Mi".to_owned()),
    }
}

fn not_in_range(value: &Value, schema: &JSONSchemaProps) -> Option<String> {
    // A CRD's bounds are floats. The bounds of integers are printed without a fraction.
    let (least, most) = (schema.minimum, schema.maximum);
    let fits = value.is_i64() || value.is_u64();
    let below = |bound: f64| value.as_f64().is_none_or(|number| number < bound);
    let above = |bound: f64| value.as_f64().is_none_or(|number| number > bound);
    if fits && !least.is_some_and(below) && !most.is_some_and(above) {
        return None;
    }
    Some(match (least, most) {
        (Some(least), Some(most)) if most >= f64::from(i32::MAX) => {
            format!("must be a whole number, at least {least} and at most {most}")
        }
        (Some(least), Some(most)) => format!("must be a whole number from {least} to {most}"),
        (Some(least), None) => format!("must be a whole number, at least {least}"),
        _ => "must be a whole number".to_owned(),
    })
}

fn not_the_text(value: &Value, schema: &JSONSchemaProps) -> Option<String> {
    if let Some(allowed) = &schema.enum_ {
        let known = allowed.iter().any(|JSON(allowed)| allowed == value);
        return (!known).then(|| format!("must be {}", alternatives(allowed)));
    }
    match value {
        Value::String(text) => too_long(text, schema),
        _ => Some("must be text: write it in quotes".to_owned()),
    }
}

fn too_long(text: &str, schema: &JSONSchemaProps) -> Option<String> {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let most = schema.max_length.filter(|most| length > *most)?;
    Some(format!("must have at most {most} characters"))
}

/// Writes `a`, `a or b`, or `one of a, b and c`.
fn alternatives(allowed: &[JSON]) -> String {
    let texts: Vec<&str> = allowed.iter().filter_map(|JSON(value)| value.as_str()).collect();
    match texts.as_slice() {
        [one] => (*one).to_owned(),
        [one, other] => format!("{one} or {other}"),
        [_, ..] if texts.len() > SHOWN => {
            format!("one of {} and {} more", texts[..SHOWN].join(", "), texts.len() - SHOWN)
        }
        [first @ .., last] => format!("one of {} and {last}", first.join(", ")),
        [] => "absent".to_owned(),
    }
}

fn names<'a>(known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&str> = known.map(String::as_str).collect();
    match known.get(..SHOWN) {
        Some(first) if known.len() > SHOWN => {
            format!("the fields here are {} and {} more", first.join(", "), known.len() - SHOWN)
        }
        _ => format!("the fields here are {}", known.join(", ")),
    }
}
