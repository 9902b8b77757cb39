//! The custom resource definitions, as they are installed and printed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::Value;

use crate::policy::{ClusterDevOpsPolicy, DevOpsPolicy, PolicyAuditResult};

/// The field manager of the objects that kube-devops installs.
pub const OBJECT_MANAGER: &str = "kube-devops";

/// Returns the CRDs of kube-devops, in the order of [`RESOURCES`](super::RESOURCES).
pub fn crds() -> [CustomResourceDefinition; 3] {
    [DevOpsPolicy::crd(), ClusterDevOpsPolicy::crd(), PolicyAuditResult::crd()].map(|mut crd| {
        for version in &mut crd.spec.versions {
            let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
            if let Some(schema) = schema {
                tidy(schema);
            }
        }
        crd
    })
}

/// Makes no field nullable, and joins each paragraph of a description into one line.
///
/// The API server then treats null as absent, as it does for built-in kinds, and CEL checks never see a null.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if let Some(description) = &mut schema.description {
        *description = description.lines().collect::<Vec<_>>().join(" ");
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

/// Returns an object as people write it: integers have no fraction, although the CRD types store floats.
pub fn manifest(object: &impl serde::Serialize) -> serde_json::Result<Value> {
    serde_json::to_value(object).map(whole_numbers)
}

fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, whole_numbers(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(whole_numbers).collect()),
        Value::Number(number) if number.is_f64() => {
            let whole = number.to_string().strip_suffix(".0").and_then(|whole| whole.parse::<i64>().ok());
            whole.map_or(Value::Number(number), Value::from)
        }
        other => other,
    }
}

/// Returns true if an installed CRD with this `spec` has everything that the wanted one sets. Additions by the server
/// do not count.
pub fn is_current(spec: &Value, wanted: &CustomResourceDefinition) -> bool {
    match (manifest(spec), manifest(&wanted.spec)) {
        (Ok(installed), Ok(wanted)) => sets_all_of(&installed, &wanted),
        _ => false,
    }
}

/// Returns true if an installed object has everything that the wanted one sets. Additions by the server do not count.
pub fn sets_all_of(installed: &Value, wanted: &Value) -> bool {
    match (installed, wanted) {
        (Value::Object(installed), Value::Object(wanted)) => wanted.iter().all(|(name, wanted)| {
            installed.get(name).is_some_and(|installed| sets_all_of(installed, wanted))
        }),
        (Value::Array(installed), Value::Array(wanted)) => {
            installed.len() == wanted.len()
                && installed.iter().zip(wanted).all(|(installed, wanted)| sets_all_of(installed, wanted))
        }
        (installed, wanted) => installed == wanted,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::manifests::{GROUP, RESOURCES};

    /// Calls `visit` for every schema of a CRD, with its path.
    fn each(schema: &JSONSchemaProps, path: &str, visit: &mut impl FnMut(&str, &JSONSchemaProps)) {
        visit(path, schema);
        for (name, property) in schema.properties.iter().flatten() {
            each(property, &format!("{path}.{name}"), visit);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
            each(items, &format!("{path}[]"), visit);
        }
    }

    fn each_of_all(mut visit: impl FnMut(&str, &JSONSchemaProps)) {
        for crd in crds() {
            let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
            each(schema, &crd.spec.names.kind, &mut visit);
        }
    }

    #[test]
    fn the_permissions_name_exactly_the_resources_of_the_crds() {
        assert_eq!(
            crds().map(|crd| crd.metadata.name.unwrap()),
            RESOURCES.map(|plural| format!("{plural}.{GROUP}"))
        );
    }

    #[test]
    fn every_field_is_described_in_sentences() {
        each_of_all(|path, schema| {
            let field = path.contains('.') && !path.ends_with("[]");
            let standard = path.ends_with(".metadata");
            if field && !standard {
                let text = schema.description.as_deref().unwrap_or_default();
                assert!(text.ends_with('.'), "{path}: {text:?}");
            }
        });
    }

    #[test]
    fn no_two_fields_of_an_object_have_the_same_description() {
        each_of_all(|path, schema| {
            let texts: Vec<_> = schema
                .properties
                .iter()
                .flatten()
                .filter_map(|(_, field)| field.description.as_ref())
                .collect();
            let distinct: BTreeSet<_> = texts.iter().collect();
            assert_eq!(distinct.len(), texts.len(), "{path}: {texts:?}");
        });
    }

    #[test]
    fn every_list_string_and_number_is_bounded() {
        each_of_all(|path, schema| {
            let format = schema.format.as_deref();
            assert!(matches!(format, None | Some("int32" | "int64" | "date-time")), "{path}: {format:?}");
            assert_eq!(schema.nullable, None, "{path}");
            let bounded = match schema.type_.as_deref() {
                Some("array") => schema.max_items.is_some(),
                Some("integer") => schema.minimum.is_some(),
                Some("string") => schema.max_length.is_some() || schema.enum_.is_some() || format.is_some(),
                _ => true,
            };
            assert!(bounded, "{path} has no bound");
        });
    }

    #[test]
    fn a_crd_with_server_additions_is_current_and_one_with_gaps_is_not() {
        let [wanted, ..] = crds();
        let mut installed = wanted.clone();
        installed.spec.names.list_kind = Some("DevOpsPolicyList".to_owned());
        installed.spec.preserve_unknown_fields = Some(false);
        let is_current = |installed: &CustomResourceDefinition| {
            is_current(&serde_json::to_value(&installed.spec).unwrap(), &wanted)
        };
        assert!(is_current(&installed));
        let schema = installed.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
        schema.properties.as_mut().unwrap().remove("status");
        assert!(!is_current(&installed));
    }

    #[test]
    fn whole_numbers_lose_their_fraction_and_others_keep_it() {
        let value = serde_json::json!({ "a": 1.0, "b": [0.5, "1.0"], "c": 3 });
        assert_eq!(manifest(&value).unwrap().to_string(), r#"{"a":1,"b":[0.5,"1.0"],"c":3}"#);
    }
}
