//! The errors of a step of remediation.

use std::time::Duration;

use tracing::warn;

use crate::policies::StatusError;

/// The reason why a step of remediation failed. The step is retried.
#[derive(Debug, thiserror::Error)]
pub enum RemediationError {
    /// The status could not be written, so the next action was not taken.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The step timed out.
    #[error("not done within {0:?}")]
    Timeout(Duration),
}

impl RemediationError {
    /// Takes a refusal to write the status for done: it must not hold up withdrawals.
    pub(super) fn unless_refused(outcome: Result<(), Self>) -> Result<(), Self> {
        match outcome {
            Err(error) if error.is_refused() => {
                warn!(%error, "the API server refused the status update");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Returns true if another client wrote the policy at the same time.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Status(error) if error.code() == Some(409))
    }

    /// Returns true if the API server refused the status, and would refuse it again.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::Status(error) if error.is_refused())
    }
}
