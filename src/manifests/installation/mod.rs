//! Everything that runs kube-devops in a cluster, from one model: `deploy` prints it, and the Helm chart is compared with
//! it.

mod component;
mod network;
mod objects;
mod rbac;
mod settings;
#[cfg(test)]
mod tests;
mod user_roles;
mod workloads;

pub use component::Component;
pub use objects::{all, deployments, rbac};
pub(crate) use rbac::{added_rules, rules};
pub(crate) use settings::selector;
pub use settings::{APP, DEFAULT_IMAGE, DEFAULT_NAMESPACE, Installation};
