//! The errors of reading and patching workloads, and the decision to retry.

use crate::cluster::CallError;
use crate::enforcement::{FIELD_MANAGER, RefusalClass, Subject, SubjectError, foreign_path};
use crate::policy::RemediationReason;

/// An error while reading or patching a workload.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The workload is gone, or another one has its name.
    #[error("the workload is gone")]
    Gone,
    /// Another client wrote the workload after it was read.
    #[error("another client wrote the workload at the same time")]
    Stale,
    /// Another field manager owns a field with another value.
    #[error("another field manager owns a field of the patch: {0}")]
    Conflict(String),
    /// Another client uses our field manager's name, and an apply would remove its fields.
    #[error(
        "another client uses field manager {FIELD_MANAGER} and owns {0}: rename that client's manager and \
         remove its entry from metadata.managedFields"
    )]
    ManagerTaken(String),
    /// A quota, an admission webhook, RBAC or validation refused the write.
    #[error("{error}")]
    Refused {
        /// The class of the refusal.
        class: RefusalClass,
        /// The failed call.
        error: CallError,
    },
    /// The API server could not be reached, or timed out.
    #[error("{0}")]
    Unavailable(CallError),
    /// The response cannot be decoded.
    #[error(transparent)]
    Subject(#[from] SubjectError),
}

impl ApplyError {
    /// Fails if an apply would remove fields that another client owns under our field manager's name.
    pub fn check_manager(subject: &Subject) -> Result<(), Self> {
        foreign_path(subject).map_or(Ok(()), |path| Err(Self::ManagerTaken(path)))
    }

    /// Returns true if a retry of the same write may succeed by itself.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Stale | Self::Unavailable(_))
    }

    /// Returns the reason for records and events.
    pub fn reason(&self) -> RemediationReason {
        match self {
            Self::Gone => RemediationReason::Gone,
            Self::Stale => RemediationReason::Stale,
            Self::Conflict(_) => RemediationReason::Conflict,
            Self::ManagerTaken(_) => RemediationReason::ManagerTaken,
            Self::Refused { class, .. } => match class {
                RefusalClass::QuotaExceeded => RemediationReason::QuotaExceeded,
                RefusalClass::AdmissionDenied => RemediationReason::AdmissionRefused,
                RefusalClass::Forbidden => RemediationReason::Forbidden,
                _ => RemediationReason::Invalid,
            },
            Self::Unavailable(_) => RemediationReason::Unavailable,
            Self::Subject(_) => RemediationReason::Unreadable,
        }
    }

    /// Returns a bounded label for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Gone => "not_found",
            Self::Stale | Self::Conflict(_) | Self::ManagerTaken(_) => "conflict",
            Self::Refused { error, .. } | Self::Unavailable(error) => error.category(),
            Self::Subject(_) => "unreadable",
        }
    }

    /// Returns true if the API server found the object invalid (422).
    pub(super) fn is_invalid(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error.code() == Some(422))
    }
}

impl From<CallError> for ApplyError {
    fn from(error: CallError) -> Self {
        let Some(status) = error.status() else { return Self::Unavailable(error) };
        match RefusalClass::of(status) {
            RefusalClass::Gone => Self::Gone,
            RefusalClass::FieldConflict => Self::Conflict(status.message.clone()),
            RefusalClass::Stale => Self::Stale,
            RefusalClass::Unavailable => Self::Unavailable(error),
            class => Self::Refused { class, error },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_refusal_has_a_reason_and_only_transient_ones_are_retried() {
        for (code, message, reason, passing) in [
            (404, "not found", RemediationReason::Gone, false),
            (409, "the object has been modified", RemediationReason::Stale, true),
            (403, "exceeded quota: small", RemediationReason::QuotaExceeded, false),
            (403, "cannot patch resource", RemediationReason::Forbidden, false),
            (403, "admission webhook \"x\" denied it", RemediationReason::AdmissionRefused, false),
            (422, "spec: Invalid value", RemediationReason::Invalid, false),
            (429, "slow down", RemediationReason::Unavailable, true),
        ] {
            let status = json!({ "status": "Failure", "message": message, "reason": "", "code": code });
            let error = CallError::Status(Box::new(serde_json::from_value(status).unwrap()));
            let error = ApplyError::from(error);
            assert_eq!((error.reason(), error.is_passing()), (reason, passing), "{error}");
        }
    }
}
