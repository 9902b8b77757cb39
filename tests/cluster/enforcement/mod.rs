//! What enforcement does to workloads on a real API server, and what its fields do to the writes of others.

mod hands_off;
mod ledger;
mod rollouts;
mod stage;
mod undoing;
mod yielding;
