//! Checks the type and the bounds of a value of a configuration file by its schema.

use jiff::civil::Date;
use serde_json::Value;

/// Returns the description of the values that a schema allows, if it does not allow this one.
pub(super) fn expected(value: &Value, schema: &Value) -> Option<String> {
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        // A choice of words has no type of its own.
        Value::Null if schema["oneOf"].is_array() => vec!["string"],
        one => one.as_str().into_iter().collect(),
    };
    let first = types.iter().find(|name| **name != "null")?;
    let has_type = types.iter().any(|name| is_of(value, name));
    // A missing value is the business of its parent.
    let is_allowed = value.is_null() || has_type && is_within(value, schema);
    (!is_allowed).then(|| described(first, schema))
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "array" => value.is_array(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => false,
    }
}

fn is_within(value: &Value, schema: &Value) -> bool {
    let bound = |name: &str| schema[name].as_f64();
    let least = |name: &str, length: usize| schema[name].as_u64().is_none_or(|least| length as u64 >= least);
    match value {
        Value::Number(number) => number.as_f64().is_none_or(|number| {
            bound("minimum").is_none_or(|least| number >= least)
                && bound("maximum").is_none_or(|most| number <= most)
        }),
        Value::String(text) => {
            least("minLength", text.trim().len())
                && (schema["format"] != "date" || text.parse::<Date>().is_ok())
        }
        Value::Array(items) => least("minItems", items.len()),
        _ => true,
    }
}

fn described(name: &str, schema: &Value) -> String {
    let noun = match name {
        "array" if schema["minItems"].is_u64() => "a list with at least one entry",
        "array" => "a list",
        "object" => "a map",
        "string" if schema["format"] == "date" => "a day, such as 2027-01-31",
        "string" if schema["minLength"].is_u64() => "text that is not empty",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        other => other,
    };
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Number(least), Value::Number(most)) => format!("{noun} from {least} to {most}"),
        _ => noun.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_of_another_type_or_beyond_its_bounds_is_described() {
        let percent = json!({ "type": ["number", "string", "null"], "minimum": 0, "maximum": 100 });
        let list = json!({ "type": "array", "minItems": 1 });
        let date = json!({ "type": ["string", "null"], "format": "date" });
        for (value, schema, description) in [
            (json!(100), &percent, None),
            (json!("99.5%"), &percent, None),
            (json!(null), &percent, None),
            (json!(100.5), &percent, Some("a number from 0 to 100")),
            (json!(["a"]), &list, None),
            (json!([]), &list, Some("a list with at least one entry")),
            (json!("a"), &list, Some("a list with at least one entry")),
            (json!("2027-02-29"), &date, Some("a day, such as 2027-01-31")),
            (json!("2027-02-28"), &date, None),
            (json!({}), &json!({}), None),
            (json!(" "), &json!({ "type": "string", "minLength": 1 }), Some("text that is not empty")),
        ] {
            assert_eq!(expected(&value, schema).as_deref(), description, "{value} {schema}");
        }
    }
}
