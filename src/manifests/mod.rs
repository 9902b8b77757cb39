//! The manifests of everything that kube-devops installs in a cluster.

mod assessment;
mod crds;
pub mod installation;
pub mod observability;
mod permissions;
mod self_fence;
mod yielding;

pub use assessment::{Answer, Assessment, CrdState, Grant, Need, Places, needs};
pub use crds::{OBJECT_MANAGER, crds, is_current, manifest};
pub use permissions::{GROUP, LEDGER_NAME, Mode, Permission, RECONCILE_LEASE, RESOURCES, Scope, WATCH_LEASE};
pub use self_fence::{SELF_FENCE, self_fence};
pub use yielding::{YIELD_BINDINGS, YIELD_NAME, YIELD_POLICIES, yield_binding, yield_policy};
