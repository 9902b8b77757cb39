//! A cluster that can be chosen.

use crate::cluster::KubeContext;
use crate::fleet::Member;

/// A context, or a cluster that a hub publishes, with the member that stands for it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) context: KubeContext,
    pub(super) member: Member,
}
