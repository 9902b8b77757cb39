//! Kubernetes governance: what is wrong with the workloads of a cluster, how much it matters, and safe fixes.
//!
//! There is one engine: a way in gives a [`workload`], [`rules`] under a [`policy`] judge it, and [`governance`] adds the
//! judgements up to a report, which [`output`] writes. [`enforcement`] turns violations into patches. The ways in are
//! [`files`] and a live [`cluster`]. Long-running commands stand on [`leader`], [`runtime`] and [`telemetry`]; [`manifests`] knows what must be installed and allowed in
//! a cluster, and [`commands`] wires everything to the command line.

pub mod cluster;
pub mod commands;
pub mod enforcement;
pub mod files;
pub mod governance;
pub mod leader;
pub mod manifests;
pub mod observer;
pub mod operator;
pub mod output;
pub mod policies;
pub mod policy;
pub mod remediation;
pub mod rules;
pub mod runtime;
pub mod telemetry;
pub mod workload;
pub mod yaml;
