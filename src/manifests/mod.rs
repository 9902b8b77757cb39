//! What kube-devops needs of a cluster to run there.

mod crds;
mod permissions;
mod yielding;

pub use crds::{crds, is_current, manifest};
pub use permissions::{GROUP, Mode, Permission, RESOURCES, Scope};
pub use yielding::{YIELD_BINDINGS, YIELD_NAME, YIELD_POLICIES, yield_binding, yield_policy};
