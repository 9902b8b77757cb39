//! The effect of a policy: its enabled rules, with their severities, weights and parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::amount::{NO_QUANTITY, NOT_POSITIVE};
use super::custom_rule::{self, CustomRule, CustomRuleError, CustomRuleSpec};
use super::named_fields::overridden;
use super::named_values::{Given, NAMED_VALUES, NamedValue};
use super::schema::{REQUESTS_AND_LIMITS, above_limit, by_parameter, foreign_parameter, turned_on_twice};
use super::selection::{SelectionError, select};
use super::severity_overrides::overridden_twice;
use super::suggestion::rule_like;
use super::{Amount, DefaultResources, DevOpsPolicySpec, ExemptionLevel};
use crate::rules::{self, Check, Parameters, RULES, Rule, RuleId, Severity, Value};
use crate::workload::{Fields, Kind, Kinds, Quantity, WorkloadKinds};

/// The enabled rules of a policy.
#[derive(Debug, Clone)]
pub struct EffectivePolicy {
    rules: Vec<EnabledRule>,
}

/// An enabled rule, with its severity, weight and parameters.
#[derive(Debug, Clone)]
pub struct EnabledRule {
    /// The rule.
    pub rule: &'static Rule,
    /// The rule's place in the registry.
    pub index: usize,
    /// The severity of its violations under this policy.
    pub severity: Severity,
    /// The penalty of each count, in half points.
    pub half_points: u64,
    /// The values of the rule's parameters.
    pub parameters: Parameters,
    /// The objects that may exempt from the rule.
    pub exemptions: ExemptionLevel,
    /// The expression of a rule of the policy's own.
    pub custom: Option<Arc<CustomRule>>,
}

/// An invalid policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// No rule has this id.
    #[error("spec.rules[{index}].id: there is no rule {id:?}{}", rule_like(id))]
    UnknownRule {
        /// The place in `spec.rules`.
        index: usize,
        /// The given id.
        id: String,
    },
    /// The same rule is listed twice.
    #[error("spec.rules[{index}]: rule {id} is listed already: take one of the two out")]
    Repeated {
        /// The place in `spec.rules`.
        index: usize,
        /// The rule.
        id: RuleId,
    },
    /// A listed rule is also turned on by its own field.
    #[error("spec.rules: {}", turned_on_twice(fields, rule))]
    TurnedOnTwice {
        /// The fields that turn it on, any of which is enough.
        fields: &'static [&'static str],
        /// The rule.
        rule: &'static Rule,
    },
    /// The severity of a rule is overridden under two names, or under one that no rule has.
    #[error("spec.severityOverrides.{name}: {problem}")]
    Severity {
        /// The name.
        name: String,
        /// The problem, and the allowed values.
        problem: String,
    },
    /// A default request or limit is invalid.
    #[error("spec.defaultResources.{field}: {problem}")]
    Resources {
        /// The field.
        field: &'static str,
        /// The problem, and the allowed values.
        problem: String,
    },
    /// A rule of the policy's own can't be used.
    #[error("spec.{0}")]
    Custom(#[from] CustomRuleError),
    /// The rule has no such parameter, or the value has the wrong type.
    #[error("spec.rules[{index}].params.{name}: {problem}")]
    Parameter {
        /// The place in `spec.rules`.
        index: usize,
        /// The parameter's name.
        name: String,
        /// The problem, and the allowed values.
        problem: String,
    },
}

/// The source of an enabled rule.
struct Choice {
    severity: Option<Severity>,
    parameters: Given,
    exemptions: Option<ExemptionLevel>,
}

impl Default for EffectivePolicy {
    /// The rules of the default score, with their default weights.
    fn default() -> Self {
        let rules = RULES.iter().enumerate().filter(|(_, rule)| rule.in_default_score);
        Self {
            rules: rules.map(|(index, rule)| EnabledRule::new(index, rule, None, &BTreeMap::new())).collect(),
        }
    }
}

impl EffectivePolicy {
    /// Chooses rules by name, as `--rules` does. Those outside the default score have no weight.
    pub fn select(text: &str) -> Result<Self, SelectionError> {
        Ok(Self::unscored(select(text)?, |_| None))
    }

    /// Makes a policy of the rules at places of the registry. Those outside the default score have no weight.
    pub(super) fn unscored(
        places: impl IntoIterator<Item = usize>,
        parameter: impl Fn(&str) -> Option<Value>,
    ) -> Self {
        let enabled = |index: usize| {
            let rule = RULES.get(index).copied()?;
            let mut enabled = EnabledRule::new(index, rule, None, &BTreeMap::new());
            enabled.parameters = Parameters::new(rule.parameters, &parameter);
            if !rule.in_default_score {
                enabled.half_points = 0;
            }
            Some(enabled)
        };
        Self { rules: places.into_iter().filter_map(enabled).collect() }
    }

    /// Computes the enabled rules of a policy's spec.
    pub fn from_spec(spec: &DevOpsPolicySpec) -> Result<Self, PolicyError> {
        check_resources(spec.default_resources.as_ref())?;
        let mut choices = BTreeMap::new();
        for (index, selection) in spec.rules.iter().flatten().enumerate() {
            let Some(rule) = rules::find(&selection.id) else {
                return Err(PolicyError::UnknownRule { index, id: selection.id.clone() });
            };
            let parameters = selection.params.clone().unwrap_or_default();
            for (name, value) in &parameters {
                check_parameter(rule, name, value).map_err(|problem| PolicyError::Parameter {
                    index,
                    name: name.clone(),
                    problem,
                })?;
            }
            let (severity, exemptions) = (selection.severity, selection.exemptions);
            let choice = Choice { severity, parameters, exemptions };
            if choices.insert(rule.id, choice).is_some() {
                return Err(PolicyError::Repeated { index, id: rule.id });
            }
        }
        for NamedValue { field, parameters, .. } in &NAMED_VALUES {
            let Some(parameters) = parameters(spec) else { continue };
            let choice = Choice { severity: None, parameters, exemptions: None };
            if choices.insert(field.rule.id, choice).is_some() {
                return Err(PolicyError::TurnedOnTwice { fields: field.names, rule: field.rule });
            }
        }
        let overrides = severities(spec)?;
        let rules = RULES.iter().enumerate().filter_map(|(index, rule)| {
            let choice = choices.get(&rule.id)?;
            let named = overrides.get(&rule.id).copied();
            let mut enabled = EnabledRule::new(index, rule, named, &choice.parameters);
            if let (None, Some(severity)) = (named, choice.severity) {
                enabled.severity = severity;
            }
            enabled.exemptions = choice.exemptions.unwrap_or(spec.exemption_level());
            Some(enabled)
        });
        Self { rules: rules.collect() }
            .with(spec.custom_rules.as_deref().unwrap_or_default(), |severity| severity.points() * 2)
    }

    /// Adds rules of a user's own. They have no weight.
    pub fn with_custom_rules(self, specs: &[CustomRuleSpec]) -> Result<Self, CustomRuleError> {
        self.with(specs, |_| 0)
    }

    fn with<E: From<CustomRuleError>>(
        mut self,
        specs: &[CustomRuleSpec],
        half_points: impl Fn(Severity) -> u64,
    ) -> Result<Self, E> {
        for (index, (rule, severity, custom)) in custom_rule::compile(specs)?.into_iter().enumerate() {
            if self.get(rule.id).is_some() {
                let problem = format!("the policy has a rule {} of its own: rename this one", rule.id);
                return Err(CustomRuleError { index, field: "id", problem }.into());
            }
            self.rules.push(EnabledRule {
                severity,
                half_points: half_points(severity),
                custom: Some(custom),
                ..EnabledRule::new(rules::place(rule.id), rule, None, &BTreeMap::new())
            });
        }
        self.rules.sort_by_key(|enabled| enabled.rule.id);
        Ok(self)
    }

    /// Keeps the rules for which `keep` is true.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(RuleId) -> bool) -> Self {
        Self { rules: self.rules.iter().filter(|enabled| keep(enabled.rule.id)).cloned().collect() }
    }

    /// Replaces severities by rule id, and multiplies the weights of these rules as a policy does.
    #[must_use]
    pub fn with_severities(mut self, severities: &BTreeMap<String, Severity>) -> Self {
        for enabled in &mut self.rules {
            if let Some(severity) = severities.get(enabled.rule.id.as_str()) {
                enabled.severity = *severity;
                if enabled.half_points > 0 {
                    enabled.half_points = enabled.rule.points() * half_multiplier(*severity);
                }
            }
        }
        self
    }

    /// Returns the enabled rules, sorted by id.
    pub fn rules(&self) -> &[EnabledRule] {
        &self.rules
    }

    /// Returns the fields that the enabled rules read.
    pub fn fields(&self) -> Fields {
        let kinds = self.reads();
        let raw = self.custom_kinds();
        if !raw.is_empty() {
            Fields::Raw(kinds, raw)
        } else if !kinds.is_empty() {
            Fields::With(kinds)
        } else {
            self.fields_of_stored()
        }
    }

    /// Returns the fields that the enabled rules read of a pod or workload that is kept.
    pub fn fields_of_stored(&self) -> Fields {
        let raw = self.custom_kinds();
        let any = |reads: fn(&Rule) -> bool| self.rules.iter().any(|enabled| reads(enabled.rule));
        if !raw.is_empty() {
            Fields::Raw(Kinds::default(), raw)
        } else if any(|rule| rule.all_annotations) {
            Fields::All
        } else if any(|rule| rule.details) {
            Fields::Details
        } else {
            Fields::Default
        }
    }

    /// Returns the fields of manifests that the enabled rules read. What supplies values to new pods is among them.
    pub fn fields_of_manifests(&self) -> Fields {
        let kinds = self
            .rules
            .iter()
            .fold(self.reads(), |kinds, enabled| kinds.union(enabled.rule.reads_for_templates()));
        match self.fields() {
            Fields::Raw(_, raw) => Fields::Raw(kinds, raw),
            fields if kinds.is_empty() => fields,
            _ => Fields::With(kinds),
        }
    }

    /// Returns the kinds that the enabled rules read beside pods and templates in the input.
    pub fn reads(&self) -> Kinds {
        self.rules.iter().fold(Kinds::default(), |kinds, enabled| kinds.union(enabled.reads()))
    }

    /// Returns the kinds that are listed in a live cluster for the enabled rules, beside pods.
    ///
    /// Templates of listed workloads are evaluated too, so the objects that supply values to new pods are listed as well.
    pub fn lists(&self) -> Kinds {
        let all = |of: fn(&EnabledRule) -> Kinds| {
            self.rules.iter().fold(Kinds::default(), |kinds, enabled| kinds.union(of(enabled)))
        };
        let needed = all(|enabled| enabled.reads().union(enabled.rule.needs()));
        if needed.contains(Kind::Template) { all(EnabledRule::needs) } else { needed }
    }

    /// Returns the kinds that the enabled rules of the registry read, without rules about objects of the cluster alone.
    pub fn reads_in_namespaces(&self) -> Kinds {
        let rules = self.rules.iter().filter(|enabled| enabled.rule.is_about_namespaces());
        rules.fold(Kinds::default(), |kinds, enabled| kinds.union(enabled.rule.reads()))
    }

    /// Returns the kinds that the operator follows for the enabled rules of the registry.
    pub fn follows(&self) -> Kinds {
        let rules = self.rules.iter().filter(|enabled| enabled.rule.is_about_namespaces());
        rules.fold(Kinds::default(), |kinds, enabled| kinds.union(enabled.rule.reads_for_templates()))
    }

    /// Returns the rules that look at objects without a namespace, and those about types of any object; `None` unless a
    /// rule needs such objects.
    pub fn about_cluster(&self) -> Option<Self> {
        let is_needed = self.rules.iter().any(|enabled| enabled.rule.is_about_cluster());
        let is_of_cluster = |rule: &Rule| rule.is_about_cluster() || matches!(rule.check, Check::Type(_));
        let rules = self.rules.iter().filter(|enabled| is_of_cluster(enabled.rule));
        is_needed.then(|| Self { rules: rules.cloned().collect() })
    }

    /// Returns the kinds that the enabled rules about relations read.
    pub fn relates(&self) -> Kinds {
        self.rules.iter().fold(Kinds::default(), |kinds, enabled| kinds.union(enabled.rule.relates()))
    }

    /// Returns the kinds of objects that rules of the policy's own evaluate.
    pub fn custom_kinds(&self) -> WorkloadKinds {
        let custom = self.rules.iter().filter_map(|enabled| enabled.custom.as_ref());
        custom.fold(WorkloadKinds::default(), |kinds, custom| kinds.union(custom.kinds))
    }

    /// Returns true if a rule of the policy's own reads the Namespace of an object.
    pub fn reads_namespace(&self) -> bool {
        self.rules.iter().filter_map(|enabled| enabled.custom.as_ref()).any(|custom| custom.reads_namespace())
    }

    /// Returns true if an enabled rule looks at workloads themselves, beside their pods and templates.
    pub fn evaluates_workloads(&self) -> bool {
        self.rules.iter().any(|enabled| matches!(enabled.rule.check, Check::Workload(_)))
    }

    /// Returns true if an enabled rule looks at the types of objects.
    pub fn evaluates_types(&self) -> bool {
        self.rules.iter().any(|enabled| matches!(enabled.rule.check, Check::Type(_)))
    }

    /// Returns an enabled rule, or `None` if it is off.
    pub fn get(&self, id: RuleId) -> Option<&EnabledRule> {
        self.rules.iter().find(|enabled| enabled.rule.id == id)
    }
}

impl EnabledRule {
    /// Returns the kinds that the rule reads beside the pod or workload that it looks at.
    pub fn reads(&self) -> Kinds {
        self.custom.as_ref().map_or(Kinds::default(), |custom| custom.reads()).union(self.rule.reads())
    }

    /// Returns the kinds without which the rule can't tell in a live cluster whose templates are evaluated.
    pub fn needs(&self) -> Kinds {
        self.reads().union(self.rule.needs()).union(self.rule.reads_for_templates())
    }

    fn new(
        index: usize,
        rule: &'static Rule,
        severity_override: Option<Severity>,
        given: &BTreeMap<String, Value>,
    ) -> Self {
        Self {
            rule,
            index,
            severity: severity_override.unwrap_or(rule.severity),
            half_points: rule.points() * severity_override.map_or(2, half_multiplier),
            parameters: Parameters::new(rule.parameters, |name| given.get(name).cloned()),
            exemptions: ExemptionLevel::Workload,
            custom: None,
        }
    }
}

/// Returns twice the factor by which an overridden severity multiplies the rule's weight.
fn half_multiplier(severity: Severity) -> u64 {
    match severity {
        Severity::Critical => 6,
        Severity::High => 4,
        Severity::Medium => 2,
        Severity::Low => 1,
    }
}

/// Returns the severities that a spec overrides, by rule.
fn severities(spec: &DevOpsPolicySpec) -> Result<BTreeMap<RuleId, Severity>, PolicyError> {
    let mut severities = BTreeMap::new();
    for (name, severity) in spec.severity_overrides.iter().flat_map(|overrides| &overrides.0) {
        let error = |problem: String| PolicyError::Severity { name: name.clone(), problem };
        let rule = overridden(name).ok_or_else(|| error("there is no such rule".to_owned()))?;
        if severities.insert(rule.id, *severity).is_some() {
            return Err(error(overridden_twice(rule)));
        }
    }
    Ok(severities)
}

/// Checks that requests and limits are amounts above zero, and that no request exceeds its limit.
fn check_resources(defaults: Option<&DefaultResources>) -> Result<(), PolicyError> {
    let Some(defaults) = defaults else { return Ok(()) };
    let mut quantities = BTreeMap::new();
    for (field, amount) in [
        ("cpuRequest", &defaults.cpu_request),
        ("cpuLimit", &defaults.cpu_limit),
        ("memoryRequest", &defaults.memory_request),
        ("memoryLimit", &defaults.memory_limit),
    ] {
        if let Some(amount) = amount {
            let quantity = quantity(amount);
            quantities.insert(
                field,
                quantity.map_err(|problem| PolicyError::Resources { field, problem: problem.to_owned() })?,
            );
        }
    }
    for (request, limit) in REQUESTS_AND_LIMITS {
        if let (Some(least), Some(most)) = (quantities.get(request), quantities.get(limit))
            && least > most
        {
            return Err(PolicyError::Resources { field: request, problem: above_limit(limit) });
        }
    }
    Ok(())
}

fn quantity(amount: &Amount) -> Result<Quantity, &'static str> {
    let quantity = amount.quantity().ok_or(NO_QUANTITY)?;
    if quantity.is_positive() { Ok(quantity) } else { Err(NOT_POSITIVE) }
}

fn check_parameter(rule: &Rule, name: &str, value: &Value) -> Result<(), String> {
    let Some(parameter) = rule.parameters.iter().find(|parameter| parameter.name == name) else {
        let owners = by_parameter().remove(name).unwrap_or_default();
        let owners: Vec<&str> = owners.iter().map(|(rule, _)| rule.id.as_str()).collect();
        return Err(if owners.is_empty() {
            "no rule has such a parameter".to_owned()
        } else {
            foreign_parameter(name, &owners)
        });
    };
    if parameter.default.is_like(value) { Ok(()) } else { Err(parameter.default.expected().to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{HIGH_RESTARTS, LATEST_TAG, MISSING_RESOURCES, PENDING};

    fn policy(yaml: &str) -> Result<EffectivePolicy, PolicyError> {
        EffectivePolicy::from_spec(&yaml_serde::from_str(yaml).unwrap())
    }

    fn ids(policy: &EffectivePolicy) -> Vec<&str> {
        policy.rules().iter().map(|enabled| enabled.rule.id.as_str()).collect()
    }

    #[test]
    fn some_rules_look_at_objects_without_a_namespace() {
        let found: Vec<&str> =
            RULES.iter().filter(|rule| rule.is_about_cluster()).map(|rule| rule.id.as_str()).collect();
        let expected = [
            "cluster-admin-binding",
            "dangling-role-binding",
            "default-account-binding",
            "pod-exec-access",
            "secret-access",
            "unbound-volume",
            "unhealthy-node",
            "wildcard-rule",
            "workload-creation-access",
        ];
        assert_eq!(found, expected);
        let select = |rules: &str| EffectivePolicy::select(rules).unwrap();
        assert!(select("automounted-token,missing-network-policy,deprecated-api").about_cluster().is_none());
        let rules = select("latest-tag,deprecated-api,unhealthy-node").about_cluster().unwrap();
        assert_eq!(ids(&rules), ["deprecated-api", "unhealthy-node"]);
    }

    #[test]
    fn workloads_are_listed_only_for_rules_that_look_at_them() {
        let lists = |rules: &str| EffectivePolicy::select(rules).unwrap().lists();
        assert!(EffectivePolicy::default().lists().is_empty());
        assert!(lists("missing-resources,privileged-container,unmanaged-pod").is_empty());
        assert_eq!(lists("stalled-rollout"), Kinds::of(&[Kind::Template]));
        assert_eq!(lists("deprecated-api"), Kinds::of(&[Kind::Template]));
        // Objects that supply values to new pods count for templates.
        assert_eq!(
            lists("stalled-rollout,missing-resources"),
            Kinds::of(&[Kind::Template, Kind::LimitRange])
        );
    }

    #[test]
    fn without_a_policy_the_five_rules_of_the_score_count() {
        let policy = EffectivePolicy::default();
        assert_eq!(
            ids(&policy),
            ["high-restarts", "latest-tag", "missing-liveness", "missing-readiness", "pending"]
        );
        assert!(policy.rules().iter().all(|enabled| enabled.half_points == 2 * enabled.rule.points()));
    }

    #[test]
    fn an_absent_field_turns_nothing_on_and_false_neither() {
        assert!(policy("{}").unwrap().rules().is_empty());
        assert!(policy("{forbidLatestTag: false, requireResources: false}").unwrap().rules().is_empty());
    }

    #[test]
    fn every_rule_can_be_turned_on_by_id() {
        for rule in RULES.iter() {
            assert_eq!(ids(&policy(&format!("rules: [{{id: {}}}]", rule.id)).unwrap()), [rule.id.as_str()]);
        }
    }

    #[test]
    fn named_fields_set_their_rules_parameters() {
        let policy = policy("{maxRestartCount: 0, forbidPendingDuration: 600}").unwrap();
        assert_eq!(policy.get(HIGH_RESTARTS.id).unwrap().parameters.integer("maxRestartCount"), 0);
        assert_eq!(policy.get(PENDING.id).unwrap().parameters.integer("seconds"), 600);
    }

    #[test]
    fn default_resources_turn_the_resources_rule_on_unless_it_is_off_by_name() {
        assert_eq!(ids(&policy("defaultResources: {memoryLimit: 1Gi}").unwrap()), ["missing-resources"]);
        assert!(policy("{requireResources: false, defaultResources: {}}").unwrap().rules().is_empty());
        let with_limit = policy("defaultResources: {cpuLimit: 1}").unwrap();
        assert!(with_limit.get(MISSING_RESOURCES.id).unwrap().parameters.boolean("cpuLimit"));
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
    fn an_invalid_setting_is_named_with_its_path() {
        let error = |yaml| policy(yaml).unwrap_err().to_string();
        let resources = error("defaultResources: {cpuRequest: 2, cpuLimit: 1500m}");
        assert_eq!(resources, "spec.defaultResources.cpuRequest: must not be above cpuLimit");
        let zero = error("defaultResources: {memoryLimit: 0}");
        assert_eq!(zero, "spec.defaultResources.memoryLimit: must be more than zero");
        assert_eq!(
            error("rules: [{id: nope}]"),
            "spec.rules[0].id: there is no rule \"nope\"; `kube-devops rules` lists them all"
        );
        assert_eq!(
            error("rules: [{id: pendign}]"),
            "spec.rules[0].id: there is no rule \"pendign\"; did you mean \"pending\"?"
        );
        assert_eq!(
            error("{forbidLatestTag: true, rules: [{id: latest-tag}]}"),
            "spec.rules: rule latest-tag is turned on by forbidLatestTag already: take it out of rules"
        );
        assert_eq!(
            error("rules: [{id: pending}, {id: pending}]"),
            "spec.rules[1]: rule pending is listed already: take one of the two out"
        );
        assert_eq!(
            error("rules: [{id: latest-tag, params: {maxRestartCount: 1}}]"),
            "spec.rules[0].params.maxRestartCount: maxRestartCount is a parameter of rule high-restarts only"
        );
        assert_eq!(
            error("rules: [{id: pending, params: {minutes: 1}}]"),
            "spec.rules[0].params.minutes: no rule has such a parameter"
        );
        assert!(
            error("rules: [{id: pending, params: {seconds: true}}]")
                .ends_with("must be a whole number, at least 0")
        );
    }
}
