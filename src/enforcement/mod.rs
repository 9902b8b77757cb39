//! Enforcement: plans one patch a workload from its violations, judges the rollout that follows, and keeps the budgets.
//!
//! Everything here is pure: it decides from values that were read elsewhere. [`remediation`](crate::remediation) reads
//! them and acts on the decisions.

mod budget;
mod constraints;
mod downtime;
mod eligibility;
mod enforcing;
mod field;
mod foreign;
mod gitops;
pub mod objects;
mod plan;
mod ports;
mod progress;
mod quota;
pub mod records;
mod refusal;
mod refusal_class;
mod rehearsal;
mod services;
mod settling;
mod share;
mod subject;
mod surroundings;
mod symptoms;
mod target;
mod undone;
mod verify;

pub use budget::{Decision, Grant, Ledger, Limits, Request};
pub use constraints::{Bound, Constraints};
pub use downtime::{Claims, DowntimeRisk, RolloutOrder, downtime_risk};
pub use eligibility::{IGNORE, Ineligible, ineligible};
pub use enforcing::Enforcing;
pub use field::{Compute, ContainerField, Field, Fields, UnknownField, containers};
pub use foreign::foreign_path;
pub use gitops::{Manager, managed_by};
pub use plan::{Plan, Unfixed, plan};
pub use ports::{NoPort, PortReason, ProbePort, Served, ServedPort};
pub use progress::Progress;
pub use refusal_class::RefusalClass;
pub use rehearsal::{Outcome, Rehearsed};
pub use services::{Service, ServiceSpec, Target, TargetPort};
pub use settling::settling;
pub use share::{Share, share};
pub use subject::{FIELD_MANAGER, KINDS, PATCHED_BY, PATCHED_FIELDS, Subject, SubjectError, Typed};
pub use surroundings::Surroundings;
pub use symptoms::is_ready;
pub use target::{TargetError, parse_target};
pub use undone::{FieldOwners, Undone};
pub use verify::{Evidence, Finding, Patched, patience, verify};
