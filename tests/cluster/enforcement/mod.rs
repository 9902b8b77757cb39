//! What enforcement does to workloads on a real API server, and what its fields do to the writes of others.

mod blast_radius;
mod hands_off;
mod kills;
mod ledger;
mod never;
mod owners;
mod rollouts;
mod stage;
mod undoing;
mod yielding;
mod yielding_installed;
