//! The one place that maps the named fields of a `DevOpsPolicy` to rules.

use std::collections::BTreeMap;

use super::{DevOpsPolicySpec, SeverityOverrides};
use crate::rules::{
    HIGH_RESTARTS, LATEST_TAG, MISSING_LIVENESS, MISSING_READINESS, MISSING_RESOURCES, PENDING, Rule, RuleId,
    Severity, Value,
};

/// The parameters that a field sets for the rule that it turns on, by name.
pub(super) type Parameters = BTreeMap<String, Value>;

/// A field of a policy that stands for a rule.
pub(super) struct NamedField {
    /// The field in `spec`, or the fields, any of which can turn the rule on.
    pub(super) names: &'static [&'static str],
    /// The rule.
    pub(super) rule: &'static Rule,
    /// Whether `self`, a spec, turns the rule on by this field: in CEL, for the API server.
    pub(super) turned_on: &'static str,
    /// The rule's parameters where a spec turns it on by this field; `None` where it doesn't.
    pub(super) parameters: fn(&DevOpsPolicySpec) -> Option<Parameters>,
    /// The severity that a spec's overrides name for the rule.
    pub(super) severity: fn(&SeverityOverrides) -> Option<Severity>,
}

/// The fields of a policy's `spec`, any of which turns a rule on; rules without one are turned on in `rules`.
pub fn fields_of(rule: &Rule) -> &'static [&'static str] {
    NAMED_FIELDS.iter().find(|field| field.rule.id == rule.id).map_or(&["rules"], |field| field.names)
}

/// Every named field.
pub(super) static NAMED_FIELDS: [NamedField; 6] = [
    NamedField {
        names: &["forbidLatestTag"],
        rule: &LATEST_TAG,
        turned_on: "has(self.forbidLatestTag) && self.forbidLatestTag",
        parameters: |spec| switch(spec.forbid_latest_tag),
        severity: |overrides| overrides.latest_tag,
    },
    NamedField {
        names: &["requireLivenessProbe"],
        rule: &MISSING_LIVENESS,
        turned_on: "has(self.requireLivenessProbe) && self.requireLivenessProbe",
        parameters: |spec| switch(spec.require_liveness_probe),
        severity: |overrides| overrides.missing_liveness,
    },
    NamedField {
        names: &["requireReadinessProbe"],
        rule: &MISSING_READINESS,
        turned_on: "has(self.requireReadinessProbe) && self.requireReadinessProbe",
        parameters: |spec| switch(spec.require_readiness_probe),
        severity: |overrides| overrides.missing_readiness,
    },
    NamedField {
        names: &["maxRestartCount"],
        rule: &HIGH_RESTARTS,
        turned_on: "has(self.maxRestartCount)",
        parameters: |spec| number("maxRestartCount", spec.max_restart_count),
        severity: |overrides| overrides.high_restarts,
    },
    NamedField {
        names: &["forbidPendingDuration"],
        rule: &PENDING,
        turned_on: "has(self.forbidPendingDuration)",
        parameters: |spec| number("seconds", spec.forbid_pending_duration),
        severity: |overrides| overrides.pending,
    },
    NamedField {
        names: &["requireResources", "defaultResources"],
        rule: &MISSING_RESOURCES,
        turned_on: "has(self.requireResources) ? self.requireResources : has(self.defaultResources)",
        parameters: |spec| {
            let defaults = spec.default_resources.as_ref();
            let cpu_limit = defaults.is_some_and(|defaults| defaults.cpu_limit.is_some());
            let parameters = Parameters::from([("cpuLimit".to_owned(), Value::Boolean(cpu_limit))]);
            spec.require_resources.unwrap_or(defaults.is_some()).then_some(parameters)
        },
        severity: |overrides| overrides.missing_resources,
    },
];

/// Returns the severity that a policy's overrides name for a rule.
pub(super) fn severity_override(overrides: &SeverityOverrides, id: RuleId) -> Option<Severity> {
    let field = NAMED_FIELDS.iter().find(|field| field.rule.id == id)?;
    (field.severity)(overrides)
}

fn switch(field: Option<bool>) -> Option<Parameters> {
    field.unwrap_or(false).then(Parameters::new)
}

fn number(parameter: &str, field: Option<u32>) -> Option<Parameters> {
    Some(Parameters::from([(parameter.to_owned(), Value::Integer(field?.into()))]))
}
