//! Separates the new findings of a report from those of a baseline.

use std::collections::{HashMap, HashSet};

use super::baseline::{Baseline, Identity, KnownFinding, NewFindings};
use super::{Compliance, Report, Scope, Score, Tally};
use crate::rules;
use crate::workload::Owner;

/// Compares a report with a baseline: removes the known violations from its list, and adds the difference.
///
/// The figures of the report still count everything. `scope` is that of the report: findings outside it are not
/// reported as fixed, and those of workloads that were not read only if the input is complete.
pub fn compare(report: &mut Report, baseline: &Baseline, scope: &Scope, is_complete: bool) {
    let mut known = Known::new(baseline);
    let all = report.violations.len();
    report.violations.retain(|violation| !known.has(&Identity::of(violation), violation.name));
    let new = report.violations.len();
    // A label, or an input that could not be read, may hide a finding that is still there.
    let gone = if report.summary.partial || scope.selector.is_some() {
        Vec::new()
    } else {
        known.gone(|finding| is_evaluated(finding, report, scope))
    };
    let (fixed, missing) = gone.into_iter().partition(|KnownFinding { namespace, kind, name, .. }| {
        is_complete || report.workloads.has(namespace, Owner { kind, name })
    });
    let (tally, breached) = figures(report);
    let compliance =
        Compliance { workloads: report.summary.workloads, compliant: report.summary.workloads - breached };
    report.baseline = Some(NewFindings {
        new,
        known: all - new,
        fixed,
        missing,
        score: report.summary.score.map(|_| Score::of(&tally, report.workloads.policy())),
        compliance: report.summary.compliance.map(|_| compliance.percent()),
        worst: report.violations.iter().map(|violation| violation.severity).max(),
    });
}

/// The findings of a baseline, and the numbers of them that were found.
struct Known<'b> {
    /// The place of each finding in `counted`.
    places: HashMap<Identity<'b>, usize>,
    /// The findings in the order of the file.
    counted: Vec<Counted<'b>>,
}

/// A finding of a baseline.
struct Counted<'b> {
    finding: &'b KnownFinding,
    /// The known count in one object.
    known: u32,
    /// The count that was found in each object, up to the known one.
    found: HashMap<String, u32>,
}

impl<'b> Known<'b> {
    fn new(baseline: &'b Baseline) -> Self {
        let mut known = Self { places: HashMap::new(), counted: Vec::new() };
        for finding in &baseline.findings {
            let place = *known.places.entry(finding.identity()).or_insert(known.counted.len());
            match known.counted.get_mut(place) {
                // A merge of two branches may list a finding twice.
                Some(counted) => counted.known = counted.known.max(finding.count),
                None => {
                    known.counted.push(Counted { finding, known: finding.count, found: HashMap::new() });
                }
            }
        }
        known
    }

    /// Counts a violation of an object. Returns false if it is beyond the known count.
    fn has(&mut self, identity: &Identity<'_>, object: &str) -> bool {
        let Some(counted) = self.places.get(identity).and_then(|place| self.counted.get_mut(*place)) else {
            return false;
        };
        let found = match counted.found.get_mut(object) {
            Some(found) => found,
            None => counted.found.entry(object.to_owned()).or_default(),
        };
        let is_known = *found < counted.known;
        *found += u32::from(is_known);
        is_known
    }

    /// Returns the evaluated findings that were not found, each with the missing count.
    fn gone(&self, is_evaluated: impl Fn(&KnownFinding) -> bool) -> Vec<KnownFinding> {
        let gone = self.counted.iter().map(|counted| {
            let found = counted.found.values().max().copied().unwrap_or_default();
            KnownFinding { count: counted.known.saturating_sub(found), ..counted.finding.clone() }
        });
        gone.filter(|finding| finding.count > 0 && is_evaluated(finding)).collect()
    }
}

/// Returns true if the run would have found a finding: its rule was on and its namespace was read.
fn is_evaluated(finding: &KnownFinding, report: &Report, scope: &Scope) -> bool {
    let is_on = match rules::known(&finding.rule) {
        Some(rule) => report.summary.counts.contains_key(&rule.id),
        None => true,
    };
    is_on && scope.asks_for(&finding.namespace) && !scope.leaves_out(&finding.namespace)
}

/// Returns the tally of the listed violations, and the number of workloads that they make non-compliant.
fn figures(report: &Report) -> (Tally, u64) {
    let policy = report.workloads.policy();
    let mut counts: HashMap<usize, u64> = HashMap::new();
    let mut breached = HashSet::new();
    for violation in report.violations.iter() {
        let Some(enabled) = policy.get(violation.rule) else { continue };
        *counts.entry(enabled.index).or_default() += u64::from(violation.count);
        if enabled.half_points > 0 && violation.severity >= Compliance::THRESHOLD {
            let Identity { namespace, kind, name, .. } = Identity::of(&violation);
            breached.insert((namespace, kind, name));
        }
    }
    let mut tally = Tally::of_pods(report.summary.pods);
    for (place, count) in counts {
        tally.set(place, count);
    }
    (tally, (breached.len() as u64).min(report.summary.workloads))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::governance::{Analysis, Baseline, identities};
    use crate::policy::EffectivePolicy;

    /// A Pod of a StatefulSet, or one that manages itself; restarts make one finding with a count of their own.
    fn pod(name: &str, owner: Option<&str>, restarts: u32) -> String {
        let owner = owner.map_or(String::new(), |owner| {
            format!(
                r#","ownerReferences":[{{"apiVersion":"apps/v1","kind":"StatefulSet","name":"{owner}","uid":"u","controller":true}}]"#
            )
        });
        format!(
            r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{name}","namespace":"a"{owner}}},
            "spec":{{"containers":[{{"name":"c","image":"x:1","livenessProbe":{{}},"readinessProbe":{{}}}}]}},
            "status":{{"containerStatuses":[{{"name":"c","restartCount":{restarts}}}]}}}}"#
        )
    }

    fn report(pods: &[String]) -> Report {
        let (policy, scope) = (EffectivePolicy::default(), Scope::default());
        let mut analysis = Analysis::new(&policy, &scope, Timestamp::UNIX_EPOCH, true);
        for pod in pods {
            analysis.add(&serde_json::from_str(pod).unwrap(), None);
        }
        analysis.finish()
    }

    fn baseline(report: &Report) -> Baseline {
        let finding = |(identity, count): (Identity<'_>, u32)| KnownFinding {
            namespace: identity.namespace.to_owned(),
            kind: identity.kind.to_owned(),
            name: identity.name.to_owned(),
            container: identity.container.map(str::to_owned),
            rule: identity.rule.to_owned(),
            count,
        };
        Baseline { findings: identities(&report.violations).into_iter().map(finding).collect() }
    }

    fn compared(pods: &[String], baseline: &Baseline) -> NewFindings {
        let mut report = report(pods);
        compare(&mut report, baseline, &Scope::default(), false);
        report.baseline.unwrap()
    }

    #[test]
    fn more_replicas_of_a_known_workload_have_no_new_finding() {
        let known = baseline(&report(&[pod("db-0", Some("db"), 9)]));
        assert_eq!(known.findings.len(), 1);
        let found = compared(&[pod("db-0", Some("db"), 9), pod("db-1", Some("db"), 9)], &known);
        assert_eq!((found.new, found.known, found.fixed.len()), (0, 2, 0));
        assert_eq!((found.score, found.worst), (Some(Score::BEST), None));
    }

    #[test]
    fn the_surplus_of_an_identity_is_new() {
        let twice = [pod("p", None, 9), pod("p", None, 9)];
        let found = compared(&twice, &baseline(&report(&twice[..1])));
        assert_eq!((found.new, found.known), (1, 1));
        let found = compared(&twice[..1], &baseline(&report(&twice)));
        assert_eq!((found.new, found.known), (0, 1));
        assert_eq!(found.fixed[0].to_string(), "a/Pod/p, container c: high-restarts");
    }

    #[test]
    fn the_figures_without_known_findings_are_those_of_an_input_without_them() {
        let (old, new, good) = (pod("old", None, 9), pod("new", None, 9), pod("new", None, 0));
        let mut all = report(&[old.clone(), new.clone()]);
        compare(&mut all, &baseline(&report(&[old])), &Scope::default(), false);
        let only_new = report(&[new, good]);
        let found = all.baseline.unwrap();
        assert_eq!(found.score, only_new.summary.score);
        assert!(found.score < Some(Score::BEST));
        assert_eq!(all.violations.len(), 1);
    }

    #[test]
    fn a_finding_of_a_rule_that_is_off_or_in_another_namespace_is_not_fixed() {
        let mut known = baseline(&report(&[pod("p", None, 9)]));
        known.findings[0].rule = "privileged-container".to_owned();
        let counts = |pods: &[String], known: &Baseline| {
            let NewFindings { fixed, missing, .. } = compared(pods, known);
            (fixed.len(), missing.len())
        };
        let clean = [pod("p", None, 0)];
        assert_eq!(counts(&clean, &known), (0, 0));
        known.findings[0].rule = "a-former-rule".to_owned();
        assert_eq!(counts(&clean, &known), (1, 0));
        assert_eq!(counts(&[], &known), (0, 1), "the workload may be in another file");
        known.findings[0].namespace = "kube-system".to_owned();
        assert_eq!(counts(&clean, &known), (0, 0));
    }

    #[test]
    fn a_finding_of_a_deleted_workload_is_fixed_where_the_input_is_complete() {
        let known = baseline(&report(&[pod("p", None, 9)]));
        let mut clean = report(&[]);
        compare(&mut clean, &known, &Scope::default(), true);
        let found = clean.baseline.unwrap();
        assert_eq!((found.fixed.len(), found.missing.len()), (1, 0));
    }

    #[test]
    fn a_baseline_with_an_unknown_field_or_of_another_kind_is_refused() {
        let error = |text: &str| Baseline::from_json(text).unwrap_err().to_string();
        let entry = r#"{"apiVersion":"kube-devops/v1","kind":"Baseline","findings":[{"namspace":"a"}]}"#;
        assert!(error(entry).starts_with("unknown field `namspace`"), "{}", error(entry));
        assert!(error(r#"{"kind":"Report"}"#).starts_with("expected kind \"Baseline\""));
        assert!(error("[").contains("line 1"));
    }
}
