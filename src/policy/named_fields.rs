//! The named fields of a `DevOpsPolicy` and their rules. No other file has such a list.

use crate::rules::{
    self, HIGH_RESTARTS, LATEST_TAG, MISSING_LIVENESS, MISSING_READINESS, MISSING_RESOURCES, PENDING, RULES,
    Rule,
};

/// A named field of a policy, with its rule.
pub(super) struct NamedField {
    /// The field in `spec`. If there are several, each of them can turn the rule on.
    pub(super) names: &'static [&'static str],
    /// The rule.
    pub(super) rule: &'static Rule,
    /// The rule's former name in `severityOverrides`, where its id stands too.
    pub(super) severity: &'static str,
    /// A CEL expression over a spec as `self`, for the API server: true if the field turns the rule on.
    pub(super) turned_on: &'static str,
}

pub(super) static FORBID_LATEST_TAG: NamedField = NamedField {
    names: &["forbidLatestTag"],
    rule: &LATEST_TAG,
    severity: "latestTag",
    turned_on: "has(self.forbidLatestTag) && self.forbidLatestTag",
};

pub(super) static REQUIRE_LIVENESS_PROBE: NamedField = NamedField {
    names: &["requireLivenessProbe"],
    rule: &MISSING_LIVENESS,
    severity: "missingLiveness",
    turned_on: "has(self.requireLivenessProbe) && self.requireLivenessProbe",
};

pub(super) static REQUIRE_READINESS_PROBE: NamedField = NamedField {
    names: &["requireReadinessProbe"],
    rule: &MISSING_READINESS,
    severity: "missingReadiness",
    turned_on: "has(self.requireReadinessProbe) && self.requireReadinessProbe",
};

pub(super) static MAX_RESTART_COUNT: NamedField = NamedField {
    names: &["maxRestartCount"],
    rule: &HIGH_RESTARTS,
    severity: "highRestarts",
    turned_on: "has(self.maxRestartCount)",
};

pub(super) static FORBID_PENDING_DURATION: NamedField = NamedField {
    names: &["forbidPendingDuration"],
    rule: &PENDING,
    severity: "pending",
    turned_on: "has(self.forbidPendingDuration)",
};

pub(super) static REQUIRE_RESOURCES: NamedField = NamedField {
    names: &["requireResources", "defaultResources"],
    rule: &MISSING_RESOURCES,
    severity: "missingResources",
    turned_on: "has(self.requireResources) ? self.requireResources : has(self.defaultResources)",
};

/// Every named field.
pub(super) static NAMED_FIELDS: [&NamedField; 6] = [
    &FORBID_LATEST_TAG,
    &REQUIRE_LIVENESS_PROBE,
    &REQUIRE_READINESS_PROBE,
    &MAX_RESTART_COUNT,
    &FORBID_PENDING_DURATION,
    &REQUIRE_RESOURCES,
];

/// Returns the rule that a name in `severityOverrides` stands for; `None` for an unknown name.
pub(super) fn overridden(name: &str) -> Option<&'static Rule> {
    let by_field = || NAMED_FIELDS.iter().find(|field| field.severity == name).map(|field| field.rule);
    rules::find(name).or_else(by_field)
}

/// Returns every name that `severityOverrides` accepts, each with its rule.
pub(super) fn override_names() -> impl Iterator<Item = (&'static str, &'static Rule)> {
    let fields = NAMED_FIELDS.iter().map(|field| (field.severity, field.rule));
    RULES.iter().map(|rule| (rule.id.as_str(), *rule)).chain(fields)
}

/// Returns the fields of a policy's `spec` that turn a rule on; `rules` for a rule without a named field.
pub fn fields_of(rule: &Rule) -> &'static [&'static str] {
    NAMED_FIELDS.iter().find(|field| field.rule.id == rule.id).map_or(&["rules"], |field| field.names)
}
