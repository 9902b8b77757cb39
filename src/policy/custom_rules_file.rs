//! A file with rules of a user's own, for runs without a policy.

use serde_json::Value;

use super::manifest::{only_document, schema_of_spec};
use super::schema_check::problems;
use super::{CustomRuleSpec, PolicyManifestError};

/// The one field of the file. A policy has it too.
const FIELD: &str = "customRules";

/// Reads the rules in a file in YAML or JSON, as strictly as those of a policy.
pub fn custom_rules(text: &str) -> Result<Vec<CustomRuleSpec>, PolicyManifestError> {
    let document = only_document(text)?;
    let fields = |problem: String| PolicyManifestError::Fields(vec![problem]);
    let Value::Object(mut file) = document else {
        return Err(fields(format!("must be a map with the field {FIELD}")));
    };
    let rules =
        file.remove(FIELD).ok_or_else(|| fields(format!("{FIELD}: must be there, and is missing")))?;
    let mut found: Vec<String> =
        file.keys().map(|name| format!("{name}: there is no such field; the one field is {FIELD}")).collect();
    let schema = schema_of_spec().and_then(|spec| spec.properties?.remove(FIELD));
    found.extend(schema.into_iter().flat_map(|schema| problems(&rules, &schema, FIELD)));
    if !found.is_empty() {
        return Err(PolicyManifestError::Fields(found));
    }
    serde_json::from_value(rules).map_err(|error| fields(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_rules_and_nothing_else() {
        let rule = "{id: own, match: {kinds: [Pod]}, expression: 'true', message: m, severity: high}";
        assert_eq!(custom_rules(&format!("customRules: [{rule}]")).unwrap()[0].id, "own");
        let error = |text: &str| custom_rules(text).unwrap_err().to_string();
        assert_eq!(
            error("customRules: []\nrules: []"),
            "rules: there is no such field; the one field is customRules"
        );
        assert_eq!(error("{}"), "customRules: must be there, and is missing");
        assert_eq!(error("[]"), "must be a map with the field customRules");
        assert!(
            error("customRules: [{id: own}]")
                .contains("customRules[0].expression: must be there, and is missing")
        );
        assert!(
            error(&format!("customRules: [{}]", rule.replace("Pod", "Pot")))
                .starts_with("customRules[0].match.kinds[0]: must be ")
        );
    }
}
