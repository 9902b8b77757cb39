//! The flags that limit enforcement in the whole cluster.

use crate::enforcement::Limits;

/// Limits of enforcement in the whole cluster.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(in crate::commands) struct BudgetArgs {
    /// Workloads that may roll out a patch at the same time, in the whole cluster; 0 stops all patches
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    max_rollouts: u32,

    /// Workloads that may be patched within an hour, in the whole cluster; 0 stops all patches
    #[arg(long, value_name = "COUNT", default_value_t = 60)]
    max_per_hour: u32,
}

impl BudgetArgs {
    /// Returns the limits.
    pub(in crate::commands) fn limits(self) -> Limits {
        Limits { rollouts: self.max_rollouts, per_hour: self.max_per_hour, stall: Limits::STALL }
    }
}
