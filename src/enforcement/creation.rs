//! The fields that a new workload gets when it is created: those that enforcement would set later. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::eligibility::ineligible_at_creation;
use super::enforcing_policy::EnforcingPolicy;
use super::note::Note;
use super::plan::Plan;
use super::records::is_withdrawn;
use super::subject::{Subject, SubjectError};
use super::surroundings::Surroundings;
use super::terms::{Terms, plan_within};
use crate::policy::{CompiledPolicy, MOST_FIELDS};

/// Plans the fields of a new workload under the policies of its namespace; `None` if it gets none.
///
/// Only policies in force with `admission.mutate` count. The fields are those of enforcement's plan. A workload that
/// enforcement may not patch gets none, because a field that fails could not be withdrawn. Nor does a workload whose
/// kind and name a record of a policy or a note of the ledger names as withdrawn.
pub fn plan_at_creation(
    subject: &Subject,
    policies: &[CompiledPolicy],
    surroundings: &Surroundings,
    notes: &[Note],
    now: Timestamp,
) -> Result<Option<Plan>, SubjectError> {
    if was_withdrawn(subject, policies, notes) {
        return Ok(None);
    }
    let mutating = policies.iter().filter(|known| known.policy.is_in_force() && known.policy.mutates());
    let mut parts: Vec<_> = mutating
        .filter_map(|known| {
            let remediation = known.policy.spec.remediation.clone().unwrap_or_default();
            let enforcing = EnforcingPolicy::new(known).ok()?;
            Some((enforcing, remediation)).filter(|(_, remediation)| remediation.max_per_hour > 0)
        })
        .collect();
    parts.sort_by(|(a, _), (b, _)| a.precedence(b));
    let enforcing: Vec<_> = parts.iter().map(|(policy, _)| policy.clone()).collect();
    for (_, remediation) in &parts {
        if ineligible_at_creation(subject, remediation, &surroundings.claims).is_some() {
            continue;
        }
        let terms = Terms { enforcing: &enforcing, remediation, surroundings, barred: &BTreeSet::new() };
        let plan = plan_within(subject, &terms, now)?;
        let fits = !plan.is_empty()
            && plan.adds.len() <= MOST_FIELDS
            && surroundings.blocks_rollout(&subject.with(&plan.adds)).is_none();
        return Ok(fits.then_some(plan));
    }
    Ok(None)
}

/// Returns true if a patch of a workload of this kind and name was withdrawn, whatever its uid was.
fn was_withdrawn(subject: &Subject, policies: &[CompiledPolicy], notes: &[Note]) -> bool {
    let records = policies.iter().filter_map(|known| known.policy.status.as_ref());
    let mut records = records.flat_map(|status| &status.remediations);
    let is_named = |note: &Note| {
        (&*note.namespace, &*note.kind, &*note.name)
            == (subject.namespace(), subject.kind().name(), subject.name())
    };
    records.any(|record| record.workload() == subject.local() && is_withdrawn(record))
        || notes.iter().any(is_named)
}

impl Plan {
    /// Returns the new workload with the planned fields and the annotations that name them.
    pub fn created(&self, subject: &Subject) -> Value {
        let mut object = subject.with(&self.adds).object;
        if let Some(annotations) = self.document["metadata"]["annotations"].as_object() {
            for (key, value) in annotations {
                object["metadata"]["annotations"][key] = json!(value);
            }
        }
        object
    }
}

#[cfg(test)]
mod tests;
