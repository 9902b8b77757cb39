//! The operator of the `DevOpsPolicy`: it evaluates the namespace of each policy, and writes the result to its status.
//!
//! One inventory of lean objects serves all policies, and a change in a namespace triggers only the policies of that
//! namespace. Every replica evaluates; only the leader writes. This module does not depend on the command that starts
//! it.

mod admission_state;
mod admission_verdict_keeper;
mod audit;
mod audit_trail;
mod awaited_verdicts;
mod cluster_evaluations;
mod cluster_objects;
mod cluster_reconcile;
mod context;
mod controller;
mod counters;
mod error;
mod evaluation;
mod feeds;
mod health;
mod inventory;
mod known_reports;
mod leftovers;
mod metrics;
mod namespace_keys;
mod namespace_watch;
mod native_admission;
mod open_report;
mod reconcile;
mod related_objects;
mod related_watch;
mod release;
mod report_keeper;
mod restorations;
mod status;
mod sums;

pub use admission_state::AdmissionState;
pub use audit::{Past, Step, next_step};
pub use audit_trail::AuditTrail;
pub use context::{Operator, OperatorSettings};
pub use controller::run;
pub use counters::OperatorMetrics;
pub use error::{ReconcileError, WriteError};
pub use evaluation::{
    NamespaceEvaluation, evaluate_cluster_objects, evaluate_inventory, evaluate_namespace, evaluate_within,
};
pub use inventory::Inventory;
pub use metrics::PolicyCollector;
pub use reconcile::FINALIZER;
pub use related_objects::{ListState, RelatedList, RelatedObjects, UnreadKind, WatchedObject};
pub use release::{ReleaseStep, release};
pub use status::{EvaluationOutcome, next_status};
pub use sums::{EvaluationSums, ExemptionLines};
