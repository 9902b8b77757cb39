//! The errors of a step of remediation.

use std::time::Duration;

use crate::policies::StatusError;

/// The reason why a step of remediation failed. The step will be retried.
#[derive(Debug, thiserror::Error)]
pub enum RemediationError {
    /// The status could not be written, so the next act was not done.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The step took too long.
    #[error("not done within {0:?}")]
    Timeout(Duration),
}

impl RemediationError {
    /// Returns true if somebody else wrote the policy at the same time.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Status(error) if error.code() == Some(409))
    }

    /// Returns true if the API server refused to write the status, and would refuse it again.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::Status(error) if matches!(error.code(), Some(400 | 403 | 422)))
    }
}
