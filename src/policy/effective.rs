//! What a policy comes down to: the rules that count, with their severities, weights and parameters.
//!
//! The one place that maps the named fields of a `DevOpsPolicy` to rule ids.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{DefaultResources, DevOpsPolicySpec, SeverityOverrides};
use crate::rules::{
    self, HIGH_RESTARTS, LATEST_TAG, MISSING_LIVENESS, MISSING_READINESS, MISSING_RESOURCES, PENDING, RULES,
    Rule, RuleId, Severity, Value,
};
use crate::workload::Quantity;

/// The rules that count under a policy.
#[derive(Debug, Clone)]
pub struct EffectivePolicy {
    rules: Vec<EnabledRule>,
}

/// A rule that counts, and how much.
#[derive(Debug, Clone)]
pub struct EnabledRule {
    /// The rule.
    pub rule: &'static Rule,
    /// The rule's place in the registry.
    pub index: usize,
    /// How bad its violations are here.
    pub severity: Severity,
    /// Penalty of each count, in half points.
    pub half_points: u64,
    /// The rule's parameters, in the rule's order.
    pub parameters: Vec<Value>,
}

/// A policy that can't be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No rule has this id.
    #[error("spec.rules[{index}].id: there is no rule {id:?}; the rules are {}", known_rules())]
    UnknownRule {
        /// The place in `spec.rules`.
        index: usize,
        /// The id that was given.
        id: String,
    },
    /// The same rule is turned on twice.
    #[error(
        "spec.rules[{index}].id: rule {id} is turned on already, by another entry or by its own field of spec"
    )]
    Repeated {
        /// The place in `spec.rules`.
        index: usize,
        /// The rule.
        id: RuleId,
    },
    /// A default request or limit makes no sense.
    #[error("spec.defaultResources.{field}: {problem}")]
    Resources {
        /// The field.
        field: &'static str,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// The rule has no such parameter, or it has another type.
    #[error("spec.rules[{index}].params.{name}: {problem}")]
    Parameter {
        /// The place in `spec.rules`.
        index: usize,
        /// The parameter's name.
        name: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
}

fn known_rules() -> String {
    RULES.map(|rule| rule.id.as_str()).join(", ")
}

/// How a rule was turned on.
struct Choice {
    severity: Option<Severity>,
    parameters: BTreeMap<String, Value>,
}

impl Choice {
    fn with(name: &str, value: Value) -> Self {
        Self { severity: None, parameters: BTreeMap::from([(name.to_owned(), value)]) }
    }
}

impl Default for EffectivePolicy {
    /// The rules of the score, as they count without any policy.
    fn default() -> Self {
        let rules = RULES.iter().enumerate().filter(|(_, rule)| rule.in_default_score);
        Self {
            rules: rules.map(|(index, rule)| EnabledRule::new(index, rule, None, &BTreeMap::new())).collect(),
        }
    }
}

impl EffectivePolicy {
    /// Works out what a policy's spec comes down to.
    pub fn from_spec(spec: &DevOpsPolicySpec) -> Result<Self, PolicyError> {
        check_resources(spec.default_resources.as_ref())?;
        let mut choices = named_fields(spec);
        for (index, selection) in spec.rules.iter().flatten().enumerate() {
            let Some(rule) = rules::find(&selection.id) else {
                return Err(PolicyError::UnknownRule { index, id: selection.id.clone() });
            };
            let parameters = selection.params.clone().unwrap_or_default();
            for (name, value) in &parameters {
                check_parameter(rule, name, *value).map_err(|problem| PolicyError::Parameter {
                    index,
                    name: name.clone(),
                    problem,
                })?;
            }
            let choice = Choice { severity: selection.severity, parameters };
            if choices.insert(rule.id, choice).is_some() {
                return Err(PolicyError::Repeated { index, id: rule.id });
            }
        }
        let overrides = spec.severity_overrides.clone().unwrap_or_default();
        let rules = RULES.iter().enumerate().filter_map(|(index, rule)| {
            let choice = choices.get(&rule.id)?;
            let mut enabled =
                EnabledRule::new(index, rule, override_of(&overrides, rule.id), &choice.parameters);
            if let (None, Some(severity)) = (override_of(&overrides, rule.id), choice.severity) {
                enabled.severity = severity;
            }
            Some(enabled)
        });
        Ok(Self { rules: rules.collect() })
    }

    /// The rules that count, sorted by id.
    pub fn rules(&self) -> &[EnabledRule] {
        &self.rules
    }

    /// How a rule counts; `None` when it is off.
    pub fn get(&self, id: RuleId) -> Option<&EnabledRule> {
        self.rules.iter().find(|enabled| enabled.rule.id == id)
    }
}

impl EnabledRule {
    fn new(
        index: usize,
        rule: &'static Rule,
        severity_override: Option<Severity>,
        given: &BTreeMap<String, Value>,
    ) -> Self {
        let parameters = rule.parameters.iter();
        Self {
            rule,
            index,
            severity: severity_override.unwrap_or(rule.severity),
            half_points: rule.weight * severity_override.map_or(2, half_multiplier),
            parameters: parameters.map(|p| given.get(p.name).copied().unwrap_or(p.default)).collect(),
        }
    }
}

/// Twice the factor by which a severity named in a policy's overrides multiplies the rule's weight.
fn half_multiplier(severity: Severity) -> u64 {
    match severity {
        Severity::Critical => 6,
        Severity::High => 4,
        Severity::Medium => 2,
        Severity::Low => 1,
    }
}

/// The rules that the named fields of a policy turn on.
fn named_fields(spec: &DevOpsPolicySpec) -> BTreeMap<RuleId, Choice> {
    let plain = || Choice { severity: None, parameters: BTreeMap::new() };
    let resources = spec.require_resources.unwrap_or(spec.default_resources.is_some());
    let cpu_limit = spec.default_resources.as_ref().is_some_and(|defaults| defaults.cpu_limit.is_some());
    let seconds = |number: u32| Value::Integer(number.into());
    [
        (&LATEST_TAG, spec.forbid_latest_tag.unwrap_or(false).then(plain)),
        (&MISSING_LIVENESS, spec.require_liveness_probe.unwrap_or(false).then(plain)),
        (&MISSING_READINESS, spec.require_readiness_probe.unwrap_or(false).then(plain)),
        (
            &HIGH_RESTARTS,
            spec.max_restart_count.map(|max| Choice::with("maxRestartCount", Value::Integer(max.into()))),
        ),
        (&PENDING, spec.forbid_pending_duration.map(|wait| Choice::with("seconds", seconds(wait)))),
        (&MISSING_RESOURCES, resources.then(|| Choice::with("cpuLimit", Value::Boolean(cpu_limit)))),
    ]
    .into_iter()
    .filter_map(|(rule, choice)| Some((rule.id, choice?)))
    .collect()
}

fn override_of(overrides: &SeverityOverrides, id: RuleId) -> Option<Severity> {
    [
        (&LATEST_TAG, overrides.latest_tag),
        (&MISSING_LIVENESS, overrides.missing_liveness),
        (&MISSING_READINESS, overrides.missing_readiness),
        (&HIGH_RESTARTS, overrides.high_restarts),
        (&PENDING, overrides.pending),
        (&MISSING_RESOURCES, overrides.missing_resources),
    ]
    .into_iter()
    .find(|(rule, _)| rule.id == id)?
    .1
}

/// Checks that requests and limits are amounts, more than zero, and no request above its limit.
fn check_resources(defaults: Option<&DefaultResources>) -> Result<(), PolicyError> {
    let Some(defaults) = defaults else { return Ok(()) };
    let amount = |field, quantity: &Option<IntOrString>| {
        let text = match quantity {
            None => return Ok(None),
            Some(IntOrString::Int(number)) => number.to_string(),
            Some(IntOrString::String(text)) => text.clone(),
        };
        let problem = format!("{text:?} is no quantity above zero, such as 100m, 0.5 or 128Mi");
        let quantity = Quantity::parse(&text).filter(|quantity| quantity.is_positive());
        quantity.map(Some).ok_or(PolicyError::Resources { field, problem })
    };
    let cpu = (amount("cpuRequest", &defaults.cpu_request)?, amount("cpuLimit", &defaults.cpu_limit)?);
    let memory =
        (amount("memoryRequest", &defaults.memory_request)?, amount("memoryLimit", &defaults.memory_limit)?);
    for (field, pair) in [("cpuRequest", cpu), ("memoryRequest", memory)] {
        if let (Some(request), Some(limit)) = pair
            && request > limit
        {
            return Err(PolicyError::Resources {
                field,
                problem: "the request is above its limit".to_owned(),
            });
        }
    }
    Ok(())
}

fn check_parameter(rule: &Rule, name: &str, value: Value) -> Result<(), String> {
    let Some(parameter) = rule.parameters.iter().find(|parameter| parameter.name == name) else {
        let known: Vec<&str> = rule.parameters.iter().map(|parameter| parameter.name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(format!("rule {} has no such parameter; it has {known}", rule.id));
    };
    match (parameter.default, value) {
        (Value::Integer(_), Value::Integer(_)) | (Value::Boolean(_), Value::Boolean(_)) => Ok(()),
        (Value::Integer(_), _) => Err("expected a whole number, at least 0".to_owned()),
        (Value::Boolean(_), _) => Err("expected true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(yaml: &str) -> Result<EffectivePolicy, PolicyError> {
        EffectivePolicy::from_spec(&yaml_serde::from_str(yaml).unwrap())
    }

    fn ids(policy: &EffectivePolicy) -> Vec<&str> {
        policy.rules().iter().map(|enabled| enabled.rule.id.as_str()).collect()
    }

    #[test]
    fn without_a_policy_the_five_rules_of_the_score_count() {
        let policy = EffectivePolicy::default();
        assert_eq!(
            ids(&policy),
            ["high-restarts", "latest-tag", "missing-liveness", "missing-readiness", "pending"]
        );
        assert!(policy.rules().iter().all(|enabled| enabled.half_points == 2 * enabled.rule.weight));
    }

    #[test]
    fn an_absent_field_turns_nothing_on_and_false_neither() {
        assert!(policy("{}").unwrap().rules().is_empty());
        assert!(policy("{forbidLatestTag: false, requireResources: false}").unwrap().rules().is_empty());
    }

    #[test]
    fn every_rule_can_be_turned_on_by_id() {
        for rule in RULES {
            assert_eq!(ids(&policy(&format!("rules: [{{id: {}}}]", rule.id)).unwrap()), [rule.id.as_str()]);
        }
    }

    #[test]
    fn named_fields_set_their_rules_parameters() {
        let policy = policy("{maxRestartCount: 0, forbidPendingDuration: 600}").unwrap();
        assert_eq!(policy.get(HIGH_RESTARTS.id).unwrap().parameters, [Value::Integer(0)]);
        assert_eq!(policy.get(PENDING.id).unwrap().parameters, [Value::Integer(600)]);
    }

    #[test]
    fn default_resources_turn_the_resources_rule_on_unless_it_is_off_by_name() {
        assert_eq!(ids(&policy("defaultResources: {memoryLimit: 1Gi}").unwrap()), ["missing-resources"]);
        assert!(policy("{requireResources: false, defaultResources: {}}").unwrap().rules().is_empty());
        let with_limit = policy("defaultResources: {cpuLimit: 1}").unwrap();
        assert_eq!(with_limit.get(MISSING_RESOURCES.id).unwrap().parameters, [Value::Boolean(true)]);
    }

    #[test]
    fn a_severity_named_in_overrides_multiplies_even_when_it_is_the_default() {
        let half_points = |severity: &str| {
            let spec = format!("{{forbidLatestTag: true, severityOverrides: {{latestTag: {severity}}}}}");
            policy(&spec).unwrap().get(LATEST_TAG.id).unwrap().half_points
        };
        assert_eq!(["critical", "high", "medium", "low"].map(half_points), [30, 20, 10, 5]);
    }

    #[test]
    fn a_severity_of_a_rule_selection_changes_the_report_and_not_the_weight() {
        let policy = policy("rules: [{id: latest-tag, severity: low}]").unwrap();
        let enabled = policy.get(LATEST_TAG.id).unwrap();
        assert_eq!((enabled.severity, enabled.half_points), (Severity::Low, 10));
    }

    #[test]
    fn what_can_not_be_followed_is_named_with_its_place() {
        let error = |yaml| policy(yaml).unwrap_err().to_string();
        let resources = error("defaultResources: {cpuRequest: 2, cpuLimit: 1500m}");
        assert_eq!(resources, "spec.defaultResources.cpuRequest: the request is above its limit");
        let zero = error("defaultResources: {memoryLimit: 0}");
        assert!(zero.starts_with("spec.defaultResources.memoryLimit: \"0\" is no quantity"), "{zero}");
        assert!(
            error("rules: [{id: nope}]")
                .starts_with("spec.rules[0].id: there is no rule \"nope\"; the rules are high")
        );
        assert!(error("{forbidLatestTag: true, rules: [{id: latest-tag}]}").contains("turned on already"));
        assert_eq!(
            error("rules: [{id: pending, params: {minutes: 1}}]"),
            "spec.rules[0].params.minutes: rule pending has no such parameter; it has seconds"
        );
        assert!(
            error("rules: [{id: pending, params: {seconds: true}}]")
                .ends_with("expected a whole number, at least 0")
        );
    }
}
