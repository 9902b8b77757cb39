//! Remediation: patches workloads that violate a policy, watches the rollouts, and withdraws harmful patches.
//!
//! [`enforcement`](crate::enforcement) decides, and this module reads and writes the API. It does not depend on the
//! operator: the owner of a [`Remediator`] calls an [`Enforcer`] for one policy at a time.

mod apply;
mod apply_error;
mod appraise;
mod candidates;
mod cleanup;
mod conflict_policy;
mod enforcer;
mod error;
mod events;
mod evidence;
mod find;
mod harm;
mod harm_evidence;
mod ledger;
mod lost_ports;
mod metrics;
mod planning;
mod progress;
mod rehearse;
mod remediator;
mod retry;
mod shadow;
mod shadow_tests;
mod skips;
mod standing;
mod suggested;
mod undo;
mod unrecorded;
mod withdraw;
mod withdrawing;
mod workloads;

pub use apply::{apply, fetch, read_again, rehearse};
pub use apply_error::ApplyError;
pub use conflict_policy::ConflictPolicyState;
pub use enforcer::Enforcer;
pub use error::RemediationError;
pub use evidence::pods;
pub use find::find;
pub use ledger::{LedgerError, LedgerStore};
pub use metrics::RemediationMetrics;
pub use rehearse::{RehearsalError, fixes, rehearse_policy};
pub use remediator::{RemediationSettings, Remediator};
pub use retry::{RetryError, retry};
pub use standing::Standing;
pub use suggested::{PolicyFixes, Suggestions, suggestions};
pub use undo::{Patched, UndoError, UndoTarget, patched, preview, undo};
pub use withdraw::{Remains, Withdrawal, tuned, withdraw};
pub use workloads::{PodHealth, Workloads};
