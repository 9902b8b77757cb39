//! Recognizes the objects that a controller of Kubernetes creates for an object that admission evaluated.

use crate::manifests::CONTROLLER_USERS;
use crate::workload::{Workload, WorkloadKind};

/// Returns true if a controller of Kubernetes wrote the object for an owner that admission evaluates.
///
/// The owner reference alone proves nothing, because every client can write one.
pub(super) fn is_made_by_controller(user: &str, object: &Workload<'_>) -> bool {
    CONTROLLER_USERS.contains(&user)
        && object
            .metadata
            .controller()
            .is_some_and(|owner| WorkloadKind::ADMITTED.iter().any(|kind| kind.name() == &*owner.kind))
}
