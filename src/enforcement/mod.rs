//! Enforcement: plans one patch per workload from its violations, evaluates the rollout that follows, and keeps the
//! budgets.
//!
//! Everything here is pure: it decides from values that were read elsewhere. [`remediation`](crate::remediation) reads
//! them and acts on the decisions.

mod adoption;
mod budget;
mod causes;
mod connect_test;
mod constraints;
mod creation;
mod downtime;
mod dropped_fields;
mod eligibility;
mod enforcing_policy;
mod fairness;
mod field;
mod foreign;
mod gitops;
pub mod harm;
mod note;
pub mod objects;
mod plan;
mod ports;
mod quota;
pub mod records;
mod refusal_class;
mod rehearsal;
mod rollout_progress;
mod services;
mod settling;
mod share;
mod subject;
mod surroundings;
mod symptoms;
mod target;
mod terms;
mod totals;
mod trace;
mod undo_result;
mod usual_restarts;
mod verify;

pub use adoption::Adoptable;
pub use budget::{BudgetDecision, Grant, KeptPatches, KeptWorkload, Ledger, Limits, Request};
pub use connect_test::{after_connect, pod_to_connect};
pub use constraints::{Bound, Constraints};
pub use creation::plan_at_creation;
pub use downtime::{Allowance, Claims, DowntimeRisk, RolloutOrder, downtime_risk};
pub use eligibility::{IGNORE, Ineligible, RETRY, ineligible};
pub use enforcing_policy::EnforcingPolicy;
pub use fairness::Fairness;
pub use field::{Compute, ContainerField, Field, Fields, NOT_EVALUATED, UnknownField, containers};
pub use foreign::foreign_path;
pub use gitops::{Manager, managed_by};
pub use note::Note;
pub use plan::{Plan, Unfixed, plan};
pub use ports::{NoPort, PortReason, ProbePort, Served, ServedPort, parse_declared};
pub use refusal_class::RefusalClass;
pub use rehearsal::{RehearsalOutcome, Rehearsed};
pub use rollout_progress::RolloutProgress;
pub use services::{Service, ServiceSpec, Target, TargetPort};
pub use settling::settling;
pub use share::{Share, share};
pub use subject::{FIELD_MANAGER, KINDS, PATCHED_BY, PATCHED_FIELDS, Subject, SubjectError, Typed, UNDONE};
pub use surroundings::Surroundings;
pub use symptoms::is_ready;
pub use target::{TargetError, parse_target};
pub use terms::{Terms, plan_within};
pub use totals::Totals;
pub use trace::Trace;
pub use undo_result::{FieldOwners, UndoResult};
pub use usual_restarts::usual_restarts;
pub use verify::{AppliedPatch, Evidence, RolloutVerdict, last_ready, patience, verify};
