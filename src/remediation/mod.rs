//! Remediation: patches workloads that violate a policy, watches the rollouts, and withdraws harmful patches.
//!
//! [`enforcement`](crate::enforcement) decides, and this module reads and writes the API. It does not depend on the
//! operator: the owner of a [`Remediator`] calls an [`Enforcer`] for one policy at a time.

mod adopt;
mod apply;
mod apply_error;
mod appraise;
mod candidates;
mod cleanup;
mod conflict_policy;
mod connect_results;
mod connect_test;
mod enforcement_state;
mod enforcer;
mod error;
mod events;
mod evidence;
mod find;
mod harm;
mod harm_evidence;
mod ledger;
mod ledger_notes;
mod ledger_progress;
mod lost_ports;
mod metrics;
mod orphans;
mod planning;
mod rehearse;
mod remediator;
mod retry;
mod rollout_watch;
mod skips;
mod status_home;
mod suggested;
mod trial;
mod undo;
mod unrecorded;
mod withdraw;
mod withdrawal_step;
mod workload_source;

pub use apply::{apply, fetch, read_again, rehearse};
pub use apply_error::ApplyError;
pub use conflict_policy::ConflictPolicyState;
pub use enforcement_state::EnforcementState;
pub use enforcer::Enforcer;
pub use error::RemediationError;
pub use evidence::pods;
pub use find::find;
pub use ledger::{LedgerError, LedgerStore};
pub use metrics::RemediationMetrics;
pub use rehearse::{RehearsalError, fixes, rehearse_policy};
pub use remediator::{RemediationSettings, Remediator};
pub use retry::{RetryError, retry};
pub use status_home::{ClusterStatus, StatusHome};
pub use suggested::{PolicyFixes, Suggestions, suggestions};
pub use undo::{PatchedWorkload, UndoError, UndoTarget, patched, preview, undo};
pub use withdraw::{Remains, Withdrawal, tuned, withdraw};
pub use workload_source::{PodHealth, WorkloadSource};
