//! Reads the named fields of a spec: the enabled rules and their parameters.

use std::collections::BTreeMap;

use super::DevOpsPolicySpec;
use super::named_fields::{
    FORBID_LATEST_TAG, FORBID_PENDING_DURATION, MAX_RESTART_COUNT, NamedField, REQUIRE_LIVENESS_PROBE,
    REQUIRE_READINESS_PROBE, REQUIRE_RESOURCES,
};
use crate::rules::Value;

/// The parameters that a named field sets for its rule, by name.
pub(super) type Given = BTreeMap<String, Value>;

/// The reader of a named field.
pub(super) struct NamedValue {
    /// The field.
    pub(super) field: &'static NamedField,
    /// Returns the rule's parameters, or `None` if this field does not turn the rule on.
    pub(super) parameters: fn(&DevOpsPolicySpec) -> Option<Given>,
}

/// The readers of all named fields.
pub(super) static NAMED_VALUES: [NamedValue; 6] = [
    NamedValue { field: &FORBID_LATEST_TAG, parameters: |spec| switch(spec.forbid_latest_tag) },
    NamedValue { field: &REQUIRE_LIVENESS_PROBE, parameters: |spec| switch(spec.require_liveness_probe) },
    NamedValue { field: &REQUIRE_READINESS_PROBE, parameters: |spec| switch(spec.require_readiness_probe) },
    NamedValue {
        field: &MAX_RESTART_COUNT,
        parameters: |spec| number("maxRestartCount", spec.max_restart_count),
    },
    NamedValue {
        field: &FORBID_PENDING_DURATION,
        parameters: |spec| number("seconds", spec.forbid_pending_duration),
    },
    NamedValue {
        field: &REQUIRE_RESOURCES,
        parameters: |spec| {
            let defaults = spec.default_resources.as_ref();
            let cpu_limit = defaults.is_some_and(|defaults| defaults.cpu_limit.is_some());
            let parameters = Given::from([("cpuLimit".to_owned(), Value::Boolean(cpu_limit))]);
            spec.require_resources.unwrap_or(defaults.is_some()).then_some(parameters)
        },
    },
];

fn switch(field: Option<bool>) -> Option<Given> {
    field.unwrap_or(false).then(Given::new)
}

fn number(parameter: &str, field: Option<u32>) -> Option<Given> {
    Some(Given::from([(parameter.to_owned(), Value::Integer(field?.into()))]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::named_fields::NAMED_FIELDS;

    #[test]
    fn every_named_field_is_read() {
        let read = NAMED_VALUES.each_ref().map(|value| value.field.rule.id);
        assert_eq!(read, NAMED_FIELDS.map(|field| field.rule.id));
    }
}
