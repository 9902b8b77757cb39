//! Rules about reliability: the workload runs, and its failures are noticed.

use super::Rule;

mod broken_spread_constraint;
mod colocated_replicas;
mod duplicate_env_var;
mod failing_job;
pub(super) mod high_restarts;
mod identical_probes;
mod lingering_job;
pub(super) mod missing_liveness;
pub(super) mod missing_readiness;
pub(super) mod pending;
mod short_start_deadline;
mod stalled_rollout;
mod unmanaged_pod;
mod unready_pod;
mod unresolved_probe_port;

pub(super) static RULES: &[&Rule] = &[
    &broken_spread_constraint::RULE,
    &colocated_replicas::RULE,
    &duplicate_env_var::RULE,
    &failing_job::RULE,
    &high_restarts::RULE,
    &identical_probes::RULE,
    &lingering_job::RULE,
    &missing_liveness::RULE,
    &missing_readiness::RULE,
    &pending::RULE,
    &short_start_deadline::RULE,
    &stalled_rollout::RULE,
    &unmanaged_pod::RULE,
    &unready_pod::RULE,
    &unresolved_probe_port::RULE,
];
