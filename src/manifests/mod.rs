//! What kube-devops needs of a cluster to run there.

mod permissions;

pub use permissions::{GROUP, Mode, Permission, RESOURCES, Scope};
