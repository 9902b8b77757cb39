//! Kubernetes governance: what is wrong with the workloads of a cluster, how much it matters, and safe fixes.

pub mod leader;
pub mod runtime;
pub mod telemetry;
