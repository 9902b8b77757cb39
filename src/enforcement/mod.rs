//! Enforcement: violations become one patch a workload, whose effect is watched, and which is taken back where it hurt.
//!
//! Everything that decides is pure; `apply` alone talks to the API. When and how often is the operator's business.

mod apply;
mod constraints;
mod error;
mod field;
mod subject;
mod withdraw;

pub use apply::{apply, fetch, rehearse};
pub use constraints::{Bound, Constraints};
pub use error::ApplyError;
pub use field::{Compute, ContainerField, Field, Fields, UnknownField, containers};
pub use subject::{KINDS, PATCHED_BY, PATCHED_FIELDS, Subject, SubjectError, Typed};
pub use withdraw::{Remains, Withdrawal, withdraw};
