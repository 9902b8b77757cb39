//! The operator of the `DevOpsPolicy`: each policy judges its namespace, and its status says what came of it.
//!
//! One inventory of lean objects serves all policies, and what changes in a namespace wakes the policies of that
//! namespace alone. Every replica judges; the leader writes. This module doesn't know how it was started.

mod audit;
mod audit_trail;
mod candidates;
mod clean_up;
mod context;
mod controller;
mod enforcement_metrics;
mod enforcer;
mod enforcing;
mod error;
mod feeds;
mod inventory;
mod ledger;
mod left_out;
mod metrics;
mod news;
mod planning;
mod reconcile;
mod release;
mod status;
mod taking_back;
mod verdict;
mod yielding;

pub use audit::{Past, Step, next_step};
pub use audit_trail::AuditTrail;
pub use context::{Operator, OperatorSettings};
pub use controller::run;
pub use enforcing::Standing;
pub use error::{ReconcileError, WriteError};
pub use inventory::Inventory;
pub use ledger::{LEDGER_NAME, LedgerError, LedgerStore};
pub use metrics::{OperatorMetrics, PolicyCollector};
pub use reconcile::FINALIZER;
pub use release::{Held, held, release};
pub use status::{Outcome, next_status};
pub use verdict::{Verdict, judge};
pub use yielding::{Yielding, install as install_yielding, remove as remove_yielding};
