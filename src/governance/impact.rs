//! The impact of one set of policies in place of another: the workloads with another outcome, and the scores.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::{Analysis, Report, Scope, Score};
use crate::policy::{DevOpsPolicySpec, EffectivePolicy, EnforcementMode, PolicyError, PolicySide};
use crate::rules::{self, Check, RuleId};

/// The kinds of workloads that enforcement may patch.
const PATCHED: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// The policies of two sides, ready to evaluate the same objects.
#[derive(Debug)]
pub struct ImpactPolicies {
    names: [String; 2],
    policies: Vec<EvaluatedSide>,
    now: Timestamp,
}

/// A policy with the namespaces in which it applies.
#[derive(Debug)]
struct EvaluatedSide {
    is_after: bool,
    spec: DevOpsPolicySpec,
    policy: EffectivePolicy,
    scope: Scope,
}

/// The outcomes of the policies of one side, by namespace.
#[derive(Debug, Default)]
struct ImpactSide(BTreeMap<String, Outcome>);

/// The outcome of the policies of a namespace.
#[derive(Debug, Default)]
struct Outcome {
    /// The lowest score under any policy.
    score: Option<Score>,
    failing: Findings,
    denied: Findings,
    fixable: Findings,
}

/// Workloads as `Kind/name`, each with the rules that matter.
type Findings = BTreeMap<String, BTreeSet<RuleId>>;

/// The impact on everything that was evaluated.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename = "PolicyImpact", rename_all = "camelCase")]
pub struct Impact {
    /// Always `kube-devops/v1`.
    pub api_version: &'static str,
    /// The first side.
    pub from: String,
    /// The second side.
    pub to: String,
    /// The namespaces in which anything was evaluated, sorted by name.
    pub namespaces: Vec<NamespaceImpact>,
    /// The parts of the input that could not be read.
    pub errors: Vec<String>,
}

/// The impact on one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceImpact {
    /// The namespace.
    pub namespace: String,
    /// The lowest score under the policies of the first side; `None` without a policy.
    pub score_before: Option<Score>,
    /// The lowest score under the policies of the second side; `None` without a policy.
    pub score_after: Option<Score>,
    /// The workloads that break rules only under the second side.
    pub newly_failing: Vec<WorkloadImpact>,
    /// The workloads that break rules only under the first side.
    pub no_longer_failing: Vec<WorkloadImpact>,
    /// The workloads that admission would deny only under the second side.
    pub newly_denied: Vec<WorkloadImpact>,
    /// The workloads with a violation that has a fix, and that only the second side enforces. Their state and settings
    /// may still keep enforcement from them: `policy rehearse` tells which it would patch.
    pub newly_fixable: Vec<WorkloadImpact>,
}

/// A workload, with the rules that differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkloadImpact {
    /// The workload as `Kind/name`.
    pub workload: String,
    /// The rules.
    pub rules: Vec<RuleId>,
}

impl ImpactPolicies {
    /// Compiles the policies of both sides.
    ///
    /// A policy without a namespace applies to the namespaces that other policies name, or to all namespaces if none names
    /// one. `only` limits all of them to one namespace.
    pub fn new(
        from: &PolicySide,
        to: &PolicySide,
        only: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, PolicyError> {
        let policies = || from.policies.iter().chain(&to.policies);
        let mut named: Vec<String> = policies().filter_map(|policy| policy.namespace.clone()).collect();
        if let Some(only) = only {
            named = vec![only.to_owned()];
        }
        named.sort();
        named.dedup();
        let mut policies = Vec::new();
        for (is_after, side) in [(false, from), (true, to)] {
            for policy in &side.policies {
                let spec = policy.parsed();
                let namespaces = policy.namespace.clone().map_or_else(|| named.clone(), |name| vec![name]);
                policies.push(EvaluatedSide {
                    is_after,
                    policy: EffectivePolicy::from_spec(&spec)?,
                    spec,
                    scope: Scope { namespaces, ..Scope::default() },
                });
            }
        }
        Ok(Self { names: [from.name.clone(), to.name.clone()], policies, now })
    }

    /// Returns an empty analysis for each policy. All of them get the same objects.
    pub fn analyses(&self) -> Vec<Analysis<'_>> {
        let policies = self.policies.iter();
        policies.map(|side| Analysis::new(&side.policy, &side.scope, self.now, true)).collect()
    }

    /// Compares the analyses of both sides. `errors` names what could not be read.
    pub fn finish(&self, analyses: Vec<Analysis<'_>>, errors: Vec<String>) -> Impact {
        let [mut before, mut after] = [ImpactSide::default(), ImpactSide::default()];
        for (evaluated, analysis) in self.policies.iter().zip(analyses) {
            let side = if evaluated.is_after { &mut after } else { &mut before };
            side.add(&evaluated.spec, &analysis.finish());
        }
        let [from, to] = self.names.clone();
        Impact { api_version: "kube-devops/v1", from, to, namespaces: before.impact_of(&after), errors }
    }
}

impl Impact {
    /// Returns true if any outcome or score differs.
    pub fn differs(&self) -> bool {
        self.namespaces.iter().any(NamespaceImpact::differs)
    }
}

impl NamespaceImpact {
    /// Returns true if any outcome or the score differs.
    pub fn differs(&self) -> bool {
        let lists = [&self.newly_failing, &self.no_longer_failing, &self.newly_denied, &self.newly_fixable];
        self.score_before != self.score_after || lists.iter().any(|list| !list.is_empty())
    }
}

impl ImpactSide {
    /// Adds the report of the objects under one policy. The report has kept its violations.
    fn add(&mut self, spec: &DevOpsPolicySpec, report: &Report) {
        for namespace in &report.namespaces {
            let outcome = self.0.entry(namespace.namespace.clone()).or_default();
            outcome.score = Some(outcome.score.map_or(namespace.score, |known| known.min(namespace.score)));
        }
        let enforces = spec.enforcement_mode == EnforcementMode::Enforce;
        let deny_at = spec.admission.clone().unwrap_or_default().deny_at;
        for row in report.violations.iter() {
            let outcome = self.0.entry(row.namespace.to_owned()).or_default();
            let object = row.workload();
            let workload = object.to_string();
            let rule = rules::find(row.rule.as_str());
            let needs_pod = rule.is_some_and(|rule| matches!(rule.check, Check::Live(_)));
            if enforces && row.severity >= deny_at && !needs_pod {
                outcome.denied.entry(workload.clone()).or_default().insert(row.rule);
            }
            let is_patched = PATCHED.contains(&object.kind);
            if enforces && is_patched && rules::fix_of(row.rule).is_some() {
                outcome.fixable.entry(workload.clone()).or_default().insert(row.rule);
            }
            outcome.failing.entry(workload).or_default().insert(row.rule);
        }
    }

    /// Returns each namespace, with the differences of its outcome on another side.
    fn impact_of(&self, after: &Self) -> Vec<NamespaceImpact> {
        let names: BTreeSet<_> = self.0.keys().chain(after.0.keys()).collect();
        let none = Outcome::default();
        let mut impacts = Vec::new();
        for name in names {
            let (before, after) = (self.0.get(name).unwrap_or(&none), after.0.get(name).unwrap_or(&none));
            let impact = NamespaceImpact {
                namespace: name.clone(),
                score_before: before.score,
                score_after: after.score,
                newly_failing: only_in(&after.failing, &before.failing),
                no_longer_failing: only_in(&before.failing, &after.failing),
                newly_denied: only_in(&after.denied, &before.denied),
                newly_fixable: only_in(&after.fixable, &before.fixable),
            };
            impacts.push(impact);
        }
        impacts
    }
}

fn only_in(these: &Findings, others: &Findings) -> Vec<WorkloadImpact> {
    let none = BTreeSet::new();
    let only = these.iter().map(|(workload, rules)| {
        let known = others.get(workload).unwrap_or(&none);
        WorkloadImpact { workload: workload.clone(), rules: rules.difference(known).copied().collect() }
    });
    only.filter(|impact| !impact.rules.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde::Deserialize as _;
    use serde_json::json;

    use super::*;
    use crate::governance::{Analysis, Scope};
    use crate::policy::EffectivePolicy;
    use crate::workload::Object;

    fn side(specs: &[&str]) -> ImpactSide {
        let mut side = ImpactSide::default();
        for spec in specs {
            let spec: DevOpsPolicySpec = yaml_serde::from_str(spec).unwrap();
            let policy = EffectivePolicy::from_spec(&spec).unwrap();
            let scope = Scope::default();
            let mut analysis = Analysis::new(&policy, &scope, Timestamp::UNIX_EPOCH, true);
            let template = json!({ "spec": { "containers": [{ "name": "main", "image": "nginx" }] } });
            for kind in ["Deployment", "ReplicaSet"] {
                let object = json!({
                    "apiVersion": "apps/v1", "kind": kind,
                    "metadata": { "name": "web", "namespace": "shop" },
                    "spec": { "template": template },
                });
                analysis.add(&Object::deserialize(object).unwrap(), None);
            }
            side.add(&spec, &analysis.finish());
        }
        side
    }

    fn listed(list: &[WorkloadImpact]) -> Vec<String> {
        let rules =
            |one: &WorkloadImpact| one.rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        list.iter().map(|one| format!("{} {}", one.workload, rules(one))).collect()
    }

    #[test]
    fn only_what_differs_is_listed() {
        let before = side(&["{forbidLatestTag: true, requireReadinessProbe: true}"]);
        let after = side(&[
            "{enforcementMode: enforce, forbidLatestTag: true, requireLivenessProbe: true, admission: {denyAt: high}}",
        ]);
        let impacts = before.impact_of(&after);
        let [impact] = impacts.as_slice() else { panic!("{impacts:?}") };
        let both = |rule: &str| vec![format!("Deployment/web {rule}"), format!("ReplicaSet/web {rule}")];
        assert_eq!(listed(&impact.newly_failing), both("missing-liveness"));
        assert_eq!(listed(&impact.no_longer_failing), both("missing-readiness"));
        assert_eq!(listed(&impact.newly_denied), both("latest-tag"));
        assert_eq!(listed(&impact.newly_fixable), ["Deployment/web missing-liveness"]);
        assert_eq!(
            (impact.score_before.map(Score::value), impact.score_after.map(Score::value)),
            (Some(93), Some(92))
        );
        let same = after.impact_of(&after);
        let [same] = same.as_slice() else { panic!("{same:?}") };
        assert!(impact.differs() && !same.differs());
        assert_eq!((same.score_before, same.score_after), (impact.score_after, impact.score_after));
    }

    #[test]
    fn of_several_policies_the_lowest_score_counts() {
        let both = side(&["{forbidLatestTag: true}", "{requireReadinessProbe: true}"]);
        let impacts = ImpactSide::default().impact_of(&both);
        assert_eq!((impacts[0].score_before, impacts[0].score_after.map(Score::value)), (None, Some(95)));
        assert_eq!(listed(&impacts[0].newly_failing)[0], "Deployment/web latest-tag missing-readiness");
    }
}
