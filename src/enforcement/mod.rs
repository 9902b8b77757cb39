//! Enforcement: violations become one patch a workload, whose effect is watched, and which is taken back where it hurt.
//!
//! Everything that decides is pure; `apply` alone talks to the API. When and how often is the operator's business.

mod constraints;
mod field;
mod subject;

pub use constraints::{Bound, Constraints};
pub use field::{Compute, ContainerField, Field, Fields, UnknownField, containers};
pub use subject::{FIELD_MANAGER, KINDS, PATCHED_BY, PATCHED_FIELDS, Subject, SubjectError, Typed};
