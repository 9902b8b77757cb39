//! Kubernetes governance: what is wrong with the workloads of a cluster, how much it matters, and safe fixes.

pub mod cluster;
pub mod commands;
pub mod files;
pub mod governance;
pub mod leader;
pub mod manifests;
pub mod output;
pub mod policy;
pub mod rules;
pub mod runtime;
pub mod telemetry;
pub mod workload;
