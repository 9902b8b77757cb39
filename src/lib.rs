//! Kubernetes governance: finds faults in the workloads of a cluster, scores them, and offers safe fixes.
//!
//! There is one engine. An input gives a [`workload`]. The [`rules`] of a [`policy`] evaluate it. [`governance`] adds up
//! the evaluations, and [`output`] writes the report. [`inventory`] knows how objects fit together.
//! [`enforcement`] plans patches, and [`remediation`] applies and withdraws them. The ways in are [`files`], which
//! reads [`yaml`], after [`render`] has turned charts and kustomizations into manifests, and a live [`cluster`]. Both
//! take their proxies from [`proxy`], and check certificates by [`trust`]. [`config`] is the configuration of a
//! project, [`paths`] matches patterns of paths, and [`repository`] knows what has changed. [`expression`] evaluates the
//! CEL of rules that users write. [`policies`] follows the policies of a
//! cluster. The long-running parts are [`observer`], [`operator`] and [`admission`], on top of [`leader`],
//! [`runtime`] and [`telemetry`]. [`manifests`] has the objects to install and the permissions to grant. [`fleet`]
//! works in many clusters at once. [`terminal`] owns the standard streams. [`commands`] wires everything to the command line.

pub mod admission;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod enforcement;
pub mod expression;
pub mod files;
pub mod fleet;
pub mod governance;
pub mod inventory;
pub mod leader;
pub mod manifests;
pub mod observer;
pub mod operator;
pub mod output;
pub mod paths;
pub mod policies;
pub mod policy;
pub mod proxy;
pub mod remediation;
pub mod render;
pub mod repository;
pub mod rules;
pub mod runtime;
pub mod telemetry;
pub mod terminal;
pub mod trust;
pub mod workload;
pub mod yaml;
