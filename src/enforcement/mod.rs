//! Enforcement: plans one patch per workload from its violations, evaluates the rollout that follows, and keeps the
//! budgets.
//!
//! Everything here is pure: it decides from values that were read elsewhere. [`remediation`](crate::remediation) reads
//! them and acts on the decisions.

mod budget;
mod causes;
mod constraints;
mod downtime;
mod eligibility;
mod enforcing;
mod fairness;
mod field;
mod foreign;
mod gitops;
pub mod harm;
mod note;
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
mod shadow;
mod share;
mod subject;
mod surroundings;
mod symptoms;
mod target;
mod totals;
mod trace;
mod undone;
mod verify;

pub use budget::{Decision, Grant, Ledger, Limits, Request};
pub use constraints::{Bound, Constraints};
pub use downtime::{Allowance, Claims, DowntimeRisk, RolloutOrder, downtime_risk};
pub use eligibility::{IGNORE, Ineligible, RETRY, ineligible};
pub use enforcing::Enforcing;
pub use fairness::Fairness;
pub use field::{Compute, ContainerField, Field, Fields, NOT_JUDGED, UnknownField, containers};
pub use foreign::foreign_path;
pub use gitops::{Manager, managed_by};
pub use note::Note;
pub use plan::{Plan, Unfixed, plan};
pub use ports::{NoPort, PortReason, ProbePort, Served, ServedPort};
pub use progress::Progress;
pub use refusal_class::RefusalClass;
pub use rehearsal::{Outcome, Rehearsed};
pub use services::{Service, ServiceSpec, Target, TargetPort};
pub use settling::settling;
pub use shadow::{after_connect, shadow_pod};
pub use share::{Share, share};
pub use subject::{FIELD_MANAGER, KINDS, PATCHED_BY, PATCHED_FIELDS, Subject, SubjectError, Typed};
pub use surroundings::Surroundings;
pub use symptoms::is_ready;
pub use target::{TargetError, parse_target};
pub use totals::Totals;
pub use trace::Trace;
pub use undone::{FieldOwners, Undone};
pub use verify::{Evidence, Finding, Patched, last_ready, patience, verify};
