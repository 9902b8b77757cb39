//! Enforcement: violations become one patch a workload, whose effect is watched, and which is taken back where it hurt.
//!
//! What decides is pure; what reads and writes the API says so. When and how often is the operator's business.

mod apply;
mod appraise;
mod budget;
mod constraints;
mod eligibility;
mod enforcing;
mod error;
mod field;
mod gitops;
pub mod objects;
mod patched;
mod plan;
mod progress;
mod quota;
mod read;
pub mod records;
mod refusal;
mod rehearsal;
mod share;
mod subject;
mod surroundings;
mod symptoms;
mod verify;
mod withdraw;

pub use crate::cluster::FIELD_MANAGER;
pub use apply::{apply, fetch, rehearse};
pub use appraise::{Appraisal, Inquiry, appraise};
pub use budget::{Decision, Grant, Ledger, Limits, Request};
pub use constraints::{Bound, Constraints};
pub use eligibility::{IGNORE, Ineligible, ineligible};
pub use enforcing::{Enforcing, is_in_force};
pub use error::ApplyError;
pub use field::{Compute, ContainerField, Field, Fields, UnknownField, containers};
pub use gitops::{Manager, managed_by};
pub use patched::{find, is_any_patched, is_patched};
pub use plan::{Plan, Unfixed, plan};
pub use progress::Progress;
pub use read::{evidence, of_revision, pods, surroundings};
pub use rehearsal::{Outcome, RehearsalError, Rehearsed, fixes, rehearse_policy};
pub use share::{Share, share};
pub use subject::{KINDS, PATCHED_BY, PATCHED_FIELDS, Subject, SubjectError, Typed};
pub use surroundings::Surroundings;
pub use symptoms::is_ready;
pub use verify::{Evidence, Finding, Patched, Reason, patience, verify};
pub use withdraw::{Remains, Withdrawal, tuned, withdraw};
