//! Decides an admission request. Pure: policies and time are arguments.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::actor::is_made_by_controller;
use super::review::Operation;
use super::{AdmissionDecision, AdmissionRequest, NewViolation};
use crate::enforcement::PATCHED_FIELDS;
use crate::governance::{AnnotatedExemptions, evaluate_custom, evaluate_for_admission};
use crate::policy::{CompiledPolicy, EffectivePolicy, EnforcementMode};
use crate::rules::{RuleId, Severity, Violation, fix_of};
use crate::workload::{Fields, Workload, WorkloadKind};

/// An object that cannot be read, although the API server accepted it.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the {part} of the request: {source}")]
pub struct DecideError {
    /// The field of the request.
    part: &'static str,
    source: serde_json::Error,
}

impl DecideError {
    /// Makes the error of a new object.
    pub(super) fn object(source: serde_json::Error) -> Self {
        Self { part: "object", source }
    }
}

/// Decides a request under the policies of its namespace.
///
/// `native` is the digest of the verdict by which native admission evaluates in the namespace. If it is the one of these
/// policies at this time, the decision leaves out the rules that native admission evaluates. `exemptions` has those of the
/// Namespace; the object's own annotations count too.
///
/// The caller leaves out the policies of namespaces in which nothing is denied. Rules see no status, because the object
/// is not stored yet.
pub fn decide(
    request: &AdmissionRequest<'_>,
    policies: &[CompiledPolicy],
    native: Option<&str>,
    exemptions: &AnnotatedExemptions,
    now: Timestamp,
) -> Result<AdmissionDecision, DecideError> {
    let mut decision = AdmissionDecision::default();
    let Some(kind) = request.admitted_kind().filter(|_| !policies.is_empty()) else { return Ok(decision) };
    let Some(json) = request.object else { return Ok(decision) };
    let fields = fields(policies);
    let object = read(kind, json.get(), "object", fields)?;
    if is_made_by_controller(&request.user_info.username, &object) {
        return Ok(decision);
    }
    let old = match (request.operation, request.old_object) {
        (Operation::Update, Some(json)) => Some(read(kind, json.get(), "oldObject", fields)?),
        _ => None,
    };
    let verdict = native.and_then(|native| {
        let verdict = exemptions.verdict(request.namespace(), policies, now)?;
        (verdict.digest() == native).then_some(verdict)
    });
    let is_ours = |policy: &str, rule| verdict.as_ref().is_none_or(|verdict| !verdict.holds(policy, rule));
    let set = match (request.operation, request.old_object) {
        (Operation::Update, Some(json)) => SetFields::of(json.get()),
        _ => SetFields::default(),
    };
    let mut found = Found::default();
    for compiled in policies.iter().filter(|compiled| compiled.policy.metadata.deletion_timestamp.is_none()) {
        let name = compiled.policy.name_any();
        match &compiled.effective {
            Ok(effective) => {
                let left = exemptions.left_for(request.namespace(), &object, effective, now);
                let rules = left.as_ref().unwrap_or(effective);
                let added = added(rules, &object, old.as_ref(), now);
                for (rule, reason) in evaluate_custom(rules, &object).1 {
                    decision
                        .problems
                        .push(format!("rule {rule} of DevOpsPolicy {name} can't tell: {reason}"));
                }
                for violation in added.into_iter().filter(|added| is_ours(&name, added.rule)) {
                    let is_dropped = compiled.policy.mutates() && set.explain(&violation);
                    found.add(&name, denies(compiled, violation.severity) && !is_dropped, violation);
                }
            }
            Err(error) => decision.problems.push(format!("DevOpsPolicy {name} is not followed: {error}")),
        }
    }
    if !found.0.is_empty() && is_going(json.get()) {
        return Ok(AdmissionDecision::default());
    }
    (decision.denied, decision.warned) = found.sorted();
    Ok(decision)
}

/// Returns the fields that the rules of the policies read. Rules of the policies' own read the JSON.
fn fields(policies: &[CompiledPolicy]) -> Fields {
    let effective = policies.iter().filter_map(|known| known.effective.as_ref().ok());
    effective.fold(Fields::Default, |fields, policy| fields.union(policy.fields_of_stored()))
}

fn read<'a>(
    kind: WorkloadKind,
    json: &'a str,
    part: &'static str,
    fields: Fields,
) -> Result<Workload<'a>, DecideError> {
    let workload = fields.within(|| Workload::from_json(kind, json));
    let mut workload = workload.map_err(|source| DecideError { part, source })?;
    (workload.status, workload.own_status) = (None, None);
    Ok(workload)
}

/// Returns the violations of the new object that the old one does not have: of another rule, in another container, or
/// with another value.
fn added(
    policy: &EffectivePolicy,
    object: &Workload<'_>,
    old: Option<&Workload<'_>>,
    now: Timestamp,
) -> Vec<Violation> {
    let all = |object: &Workload<'_>| {
        let mut violations = evaluate_for_admission(policy, object, now);
        violations.extend(evaluate_custom(policy, object).0);
        violations
    };
    let mut violations = all(object);
    if let (Some(old), false) = (old, violations.is_empty()) {
        let before = all(old);
        let before: BTreeSet<_> = before.iter().flat_map(wrong).collect();
        violations.retain(|new| wrong(new).any(|new| !before.contains(&new)));
    }
    violations
}

/// Returns what is wrong by a violation: its rule, its container, and each value; one without a value if there is none.
fn wrong(violation: &Violation) -> impl Iterator<Item = (RuleId, Option<&str>, Option<&str>)> {
    let Violation { rule, container, values, .. } = violation;
    let whole = values.is_empty().then_some(None);
    let values = values.iter().map(|value| Some(value.as_str())).chain(whole);
    values.map(move |value| (*rule, container.as_deref(), value))
}

/// Returns true if a policy denies what it finds at a severity.
fn denies(compiled: &CompiledPolicy, severity: Severity) -> bool {
    let spec = &compiled.policy.spec;
    spec.enforcement_mode == EnforcementMode::Enforce
        && severity >= spec.admission.clone().unwrap_or_default().deny_at
}

/// The fields of the stored object that the defaults of a policy set, as its annotation lists them.
///
/// A manifest does not have them, so an update by `kubectl replace` drops them. It must not be denied for that where
/// they are set again for each new workload.
#[derive(Default)]
struct SetFields(Vec<String>);

impl SetFields {
    fn of(json: &str) -> Self {
        #[derive(Deserialize)]
        struct Head {
            metadata: Annotated,
        }
        #[derive(Deserialize)]
        struct Annotated {
            annotations: Option<BTreeMap<String, String>>,
        }
        let annotations = serde_json::from_str::<Head>(json).ok().and_then(|head| head.metadata.annotations);
        let listed = annotations.and_then(|mut annotations| annotations.remove(PATCHED_FIELDS));
        Self(listed.map(|listed| listed.split(',').map(str::to_owned).collect()).unwrap_or_default())
    }

    /// Returns true if a violation is there because such a field is gone.
    fn explain(&self, violation: &Violation) -> bool {
        let (Some(fix), Some(container)) = (fix_of(violation.rule), &violation.container) else {
            return false;
        };
        let field = format!("{container}/{}", fix.field);
        self.0.iter().any(|set| set.starts_with(&field))
    }
}

/// Returns true if the object is being deleted: nothing may block its deletion.
fn is_going(json: &str) -> bool {
    #[derive(Deserialize)]
    struct Head {
        metadata: Going,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Going {
        deletion_timestamp: Option<IgnoredAny>,
    }
    serde_json::from_str::<Head>(json).is_ok_and(|head| head.metadata.deletion_timestamp.is_some())
}

/// The place and the text of a violation. Policies with the same finding share one entry.
type Key = (RuleId, String, Option<String>, String);

/// The policies that deny a violation, and those that warn, with the highest severity of each.
#[derive(Default)]
struct Verdicts {
    deny: Option<(Severity, BTreeSet<String>)>,
    warn: Option<(Severity, BTreeSet<String>)>,
}

#[derive(Default)]
struct Found(BTreeMap<Key, Verdicts>);

impl Found {
    fn add(&mut self, policy: &str, denies: bool, violation: Violation) {
        let Violation { rule, severity, container, path, message, .. } = violation;
        let verdicts = self.0.entry((rule, path, container, message)).or_default();
        let verdict = if denies { &mut verdicts.deny } else { &mut verdicts.warn };
        let (highest, policies) = verdict.get_or_insert_with(|| (severity, BTreeSet::new()));
        *highest = severity.max(*highest);
        policies.insert(policy.to_owned());
    }

    /// Returns the findings that deny, and those that only warn. A finding that is denied is not repeated as a warning.
    fn sorted(self) -> (Vec<NewViolation>, Vec<NewViolation>) {
        let (mut denied, mut warned) = (Vec::new(), Vec::new());
        for ((rule, path, container, message), Verdicts { deny, warn }) in self.0 {
            let (list, verdict) = match (deny, warn) {
                (Some(deny), _) => (&mut denied, deny),
                (None, Some(warn)) => (&mut warned, warn),
                (None, None) => continue,
            };
            let (severity, policies) = verdict;
            let policies = policies.into_iter().collect();
            list.push(NewViolation { policies, rule, severity, container, path, message });
        }
        for list in [&mut denied, &mut warned] {
            list.sort_by_key(|finding: &NewViolation| std::cmp::Reverse(finding.severity));
        }
        (denied, warned)
    }
}

#[cfg(test)]
mod tests;
