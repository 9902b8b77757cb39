//! `kube-devops reconcile` as a process with exactly the documented permissions.

mod audit;
mod cluster_objects;
mod cluster_policy;
mod custom_rules;
mod faults;
pub(crate) mod fixture;
mod kills;
mod life;
mod own_status;
mod relations;
mod release;
mod reports;
mod resources;
mod sample;
mod scale;
mod status;
