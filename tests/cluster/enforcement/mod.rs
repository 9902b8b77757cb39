//! Enforcement on a real API server: its effect on workloads, and the effect of its fields on the writes of others.

mod blast_radius;
mod changes_under_way;
mod daemon_sets;
mod documents;
mod gitops;
mod hands_off;
mod kills;
mod ledger;
mod neighbours;
mod never;
mod owners;
mod patience;
mod ports;
mod refusals;
mod rollouts;
mod squatting;
mod stage;
mod taken_out;
mod undoing;
mod withdrawals;
mod yielding;
mod yielding_installed;
