//! Rules about reliability: the workload runs, and its failures are noticed.

use super::Rule;

mod blocking_disruption_budget;
mod broken_spread_constraint;
mod colocated_replicas;
mod dangling_autoscaler;
mod dangling_disruption_budget;
mod dangling_reference;
mod duplicate_env_var;
mod failing_job;
pub(super) mod high_restarts;
mod identical_probes;
mod lingering_job;
mod missing_disruption_budget;
pub(super) mod missing_liveness;
pub(super) mod missing_readiness;
mod overlapping_disruption_budgets;
pub(super) mod pending;
mod recreate_strategy;
mod replicas_under_autoscaler;
mod short_start_deadline;
mod single_replica;
mod stalled_rollout;
mod unbound_volume;
mod unhealthy_node;
mod unmanaged_pod;
mod unready_pod;
mod unresolved_probe_port;

pub(super) static RULES: &[&Rule] = &[
    &blocking_disruption_budget::RULE,
    &broken_spread_constraint::RULE,
    &colocated_replicas::RULE,
    &dangling_autoscaler::RULE,
    &dangling_disruption_budget::RULE,
    &dangling_reference::RULE,
    &duplicate_env_var::RULE,
    &failing_job::RULE,
    &high_restarts::RULE,
    &identical_probes::RULE,
    &lingering_job::RULE,
    &missing_disruption_budget::RULE,
    &missing_liveness::RULE,
    &missing_readiness::RULE,
    &overlapping_disruption_budgets::RULE,
    &pending::RULE,
    &recreate_strategy::RULE,
    &replicas_under_autoscaler::RULE,
    &short_start_deadline::RULE,
    &single_replica::RULE,
    &stalled_rollout::RULE,
    &unbound_volume::RULE,
    &unhealthy_node::RULE,
    &unmanaged_pod::RULE,
    &unready_pod::RULE,
    &unresolved_probe_port::RULE,
];
