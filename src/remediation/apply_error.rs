//! Why a patch was not taken, and whether trying again can help.

use kube::core::Status;

use crate::cluster::CallError;
use crate::enforcement::{SubjectError, records};

/// Why a workload could not be read or patched.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The workload is gone, or another one has its name.
    #[error("the workload is gone")]
    Gone,
    /// Somebody wrote the workload since it was read.
    #[error("somebody else wrote the workload at the same time")]
    Stale,
    /// A field belongs to somebody who wants another value.
    #[error("another field manager owns what is to be set: {0}")]
    Conflict(String),
    /// The API server does not want it: a quota, an admission webhook, RBAC or the validation.
    #[error("{0}")]
    Refused(CallError),
    /// The API server could not be asked, or had no time.
    #[error("{0}")]
    Unavailable(CallError),
    /// What came back can't be read.
    #[error(transparent)]
    Subject(#[from] SubjectError),
}

impl ApplyError {
    /// Tells whether the same may succeed later with nobody doing anything about it.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Stale | Self::Unavailable(_))
    }

    /// The reason in one word, as records and events have it.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Gone => "Gone",
            Self::Stale => "Stale",
            Self::Conflict(_) => "Conflict",
            Self::Refused(error) => match error.status() {
                Some(status) if status.message.contains("exceeded quota") => "QuotaExceeded",
                Some(status) if is_admission(status) => "AdmissionRefused",
                Some(status) if status.code == 403 => "Forbidden",
                _ => "Invalid",
            },
            Self::Unavailable(_) => records::UNAVAILABLE,
            Self::Subject(_) => "Unreadable",
        }
    }

    /// A bounded label for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Gone => "not_found",
            Self::Stale | Self::Conflict(_) => "conflict",
            Self::Refused(error) => match error.code() {
                Some(401 | 403) => "forbidden",
                Some(422) => "invalid",
                _ => "refused",
            },
            Self::Unavailable(error) => {
                if error.code().is_some() {
                    "busy"
                } else {
                    "unreachable"
                }
            }
            Self::Subject(_) => "unreadable",
        }
    }

    /// Tells whether the API server found the object wrong (422).
    pub(super) fn is_invalid(&self) -> bool {
        matches!(self, Self::Refused(error) if error.code() == Some(422))
    }
}

impl From<CallError> for ApplyError {
    fn from(error: CallError) -> Self {
        let Some(status) = error.status() else { return Self::Unavailable(error) };
        match status.code {
            404 => Self::Gone,
            409 if status.message.contains("uid mismatch") => Self::Gone,
            409 if is_field_conflict(status) => Self::Conflict(status.message.clone()),
            409 => Self::Stale,
            429 | 500.. if !is_admission(status) => Self::Unavailable(error),
            _ => Self::Refused(error),
        }
    }
}

/// An apply over another manager's fields names them one by one; a stale version doesn't.
fn is_field_conflict(status: &Status) -> bool {
    let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
    causes.iter().any(|cause| cause.reason == "FieldManagerConflict")
}

/// The words of the API server for what a webhook or an admission policy denied.
fn is_admission(status: &Status) -> bool {
    ["admission webhook", "ValidatingAdmissionPolicy", "admission denied"]
        .iter()
        .any(|words| status.message.contains(words))
        && !status.message.contains("failed calling webhook")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn error(code: u16, message: &str, causes: &Value) -> ApplyError {
        let status = json!({
            "status": "Failure", "message": message, "reason": "", "code": code, "details": { "causes": causes },
        });
        CallError::Status(Box::new(serde_json::from_value(status).unwrap())).into()
    }

    #[test]
    fn each_refusal_has_its_name_and_only_what_passes_is_tried_again() {
        let none = json!([]);
        let conflict = json!([{ "reason": "FieldManagerConflict", "message": "m", "field": ".spec" }]);
        let uid = "Precondition failed: UID in precondition: a, uid mismatch: b";
        let cases = [
            (error(404, "not found", &none), "Gone", false),
            (error(409, uid, &none), "Gone", false),
            (error(409, "the object has been modified", &none), "Stale", true),
            (error(409, "Apply failed with 1 conflict", &conflict), "Conflict", false),
            (error(403, "exceeded quota: small", &none), "QuotaExceeded", false),
            (error(403, "cannot patch resource", &none), "Forbidden", false),
            (error(403, "admission webhook \"x\" denied the request", &none), "AdmissionRefused", false),
            (error(500, "admission webhook \"x\" denied the request", &none), "AdmissionRefused", false),
            (error(500, "failed calling webhook \"x\"", &none), "Unavailable", true),
            (error(422, "spec: Invalid value", &none), "Invalid", false),
            (error(429, "slow down", &none), "Unavailable", true),
        ];
        for (error, reason, passing) in cases {
            assert_eq!((error.reason(), error.is_passing()), (reason, passing), "{error}");
        }
    }
}
