//! What kube-devops needs of a cluster to run there.

mod crds;
mod permissions;

pub use crds::{crds, is_current, manifest};
pub use permissions::{GROUP, Mode, Permission, RESOURCES, Scope};
