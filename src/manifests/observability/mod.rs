//! The objects that monitor an installation: `ServiceMonitors`, recording and alert rules, and dashboards.

mod dashboard;
mod fleet;
mod governance;
mod monitors;
mod operations;
mod panel;
mod rules;
#[cfg(test)]
mod tests;

pub use dashboard::{Dashboard, config_map};
pub use fleet::{FLEET_ALERTS, FLEET_RECORDINGS, FLEET_SERIES, fleet_rule};
pub use monitors::service_monitors;
pub use rules::{ALERTS, Alert, RECORDINGS, Recording, prometheus_rule};

/// All dashboards.
pub static DASHBOARDS: [&Dashboard; 2] = [&governance::GOVERNANCE, &operations::OPERATIONS];
