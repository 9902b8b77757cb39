//! The errors of a reconcile.

use std::time::Duration;

use jiff::Timestamp;

use crate::cluster::{CallError, category};
use crate::leader::NotLeader;
use crate::policies::StatusError;
use crate::remediation::RemediationError;

/// The reason why a policy was not reconciled. The controller retries.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A write failed.
    #[error("cannot {action}: {source}")]
    Write {
        /// The failed action.
        action: &'static str,
        /// The cause.
        source: CallError,
    },
    /// The finalizer could not be added or removed.
    #[error("cannot change the finalizer: {0}")]
    Finalizer(Box<kube::runtime::finalizer::Error<WriteError>>),
    /// The cleanup of a deleted policy is not finished.
    #[error("the policy is removed once its patches are verified or withdrawn")]
    Unfinished {
        /// The time of the next attempt.
        again: Timestamp,
    },
    /// The status could not be written.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The reconcile timed out.
    #[error("not done within {0:?}")]
    Timeout(Duration),
    /// The Lease was lost during the reconcile.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
}

impl From<RemediationError> for ReconcileError {
    fn from(error: RemediationError) -> Self {
        match error {
            RemediationError::Status(error) => Self::Status(error),
            RemediationError::Timeout(after) => Self::Timeout(after),
        }
    }
}

/// A write that failed inside the finalizer.
pub type WriteError = Box<ReconcileError>;

/// The error labels besides those of failed calls. All are exported from the start, so that alerts can use them.
pub(super) const CATEGORIES: [&str; 5] =
    ["internal", "leadership_lost", "not_leader", "timeout", "unreadable"];

impl ReconcileError {
    /// Returns the time of the next attempt, if the cleanup is only unfinished.
    pub fn unfinished(&self) -> Option<Timestamp> {
        match self {
            Self::Unfinished { again } => Some(*again),
            Self::Finalizer(error) => match &**error {
                kube::runtime::finalizer::Error::CleanupFailed(error) => error.unfinished(),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns true if nothing is left to do and nothing failed.
    pub fn is_moot(&self) -> bool {
        match self {
            Self::Status(StatusError::NamespaceGoing) => true,
            Self::Finalizer(error) => match &**error {
                kube::runtime::finalizer::Error::ApplyFailed(error)
                | kube::runtime::finalizer::Error::CleanupFailed(error) => error.is_moot(),
                _ => false,
            },
            _ => false,
        }
    }

    /// Returns true if another client wrote the object at the same time.
    pub fn is_conflict(&self) -> bool {
        use kube::runtime::finalizer::Error;
        match self {
            Self::Write { source, .. } => source.code() == Some(409),
            Self::Status(error) => error.code() == Some(409),
            Self::Finalizer(error) => match &**error {
                Error::ApplyFailed(error) | Error::CleanupFailed(error) => error.is_conflict(),
                // 422: a test in the JSON patch failed, because another client changed the finalizers.
                Error::AddFinalizer(error) | Error::RemoveFinalizer(error) => {
                    matches!(code(error), Some(409 | 422))
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Returns a bounded label for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Write { source, .. } => source.category(),
            Self::Status(StatusError::Write(error) | StatusError::Namespace(error)) => error.category(),
            Self::Finalizer(error) => match &**error {
                kube::runtime::finalizer::Error::ApplyFailed(error)
                | kube::runtime::finalizer::Error::CleanupFailed(error) => error.category(),
                kube::runtime::finalizer::Error::AddFinalizer(error)
                | kube::runtime::finalizer::Error::RemoveFinalizer(error) => match code(error) {
                    // A test in the JSON patch failed: another client changed the finalizers.
                    Some(422) => "conflict",
                    code => category(code),
                },
                _ => "internal",
            },
            // These are never counted.
            Self::Unfinished { .. } | Self::Status(StatusError::NamespaceGoing) => "internal",
            Self::Timeout(_) => "timeout",
            Self::NotLeader(error) => error.category(),
        }
    }
}

fn code(error: &kube::Error) -> Option<u16> {
    if let kube::Error::Api(status) = error { Some(status.code) } else { None }
}
