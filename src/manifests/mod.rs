//! The manifests of everything that kube-devops installs in a cluster.

mod assessment;
mod crds;
mod permissions;
mod yielding;

pub use assessment::{Answer, Assessment, CrdState, Grant, Need, Places, needs};
pub use crds::{OBJECT_MANAGER, crds, is_current, manifest};
pub use permissions::{GROUP, Mode, Permission, RESOURCES, Scope};
pub use yielding::{YIELD_BINDINGS, YIELD_NAME, YIELD_POLICIES, yield_binding, yield_policy};
