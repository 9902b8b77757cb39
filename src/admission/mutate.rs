//! Adds the defaults of enforcement to a new workload. Pure: everything that is read is an argument.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::review::Operation;
use super::{AdmissionRequest, DecideError};
use crate::enforcement::{KINDS, Note, Subject, SubjectError, Surroundings, plan_at_creation};
use crate::policy::CompiledPolicy;
use crate::workload::WorkloadKind;

/// The reason why a new workload was left as it is, although a policy asks for defaults.
#[derive(Debug, thiserror::Error)]
pub enum MutateError {
    /// It cannot be read.
    #[error(transparent)]
    Object(#[from] DecideError),
    /// It cannot be planned for.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// The patch cannot be written.
    #[error("cannot write the patch: {0}")]
    Patch(serde_json::Error),
}

/// Returns the kind of a request's object if it is the creation of a workload that enforcement patches.
pub(super) fn created_kind(request: &AdmissionRequest<'_>) -> Option<WorkloadKind> {
    let is_created = request.operation == Operation::Create;
    request.admitted_kind().filter(|kind| is_created && KINDS.contains(kind))
}

/// Returns the JSON patch that adds the defaults to a new workload; `None` if it stays as it is.
pub fn mutate(
    request: &AdmissionRequest<'_>,
    policies: &[CompiledPolicy],
    surroundings: &Surroundings,
    notes: &[Note],
    now: Timestamp,
) -> Result<Option<Value>, MutateError> {
    let (Some(kind), Some(json)) = (created_kind(request), request.object) else { return Ok(None) };
    let mut object: Value = serde_json::from_str(json.get()).map_err(DecideError::object)?;
    // The API server sets it before it calls webhooks, and other clients of this function may not.
    if object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = json!(request.namespace());
    }
    let subject = Subject::read(kind, object)?;
    let Some(plan) = plan_at_creation(&subject, policies, surroundings, notes, now)? else { return Ok(None) };
    let patch = json_patch::diff(&subject.object, &plan.created(&subject));
    serde_json::to_value(patch).map(Some).map_err(MutateError::Patch)
}

#[cfg(test)]
mod tests;
