//! A change of the policies, as their watches report it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::policy::DevOpsPolicy;
use crate::workload::PolicyRef;

/// A change of the policies. The policies are up to date when it is reported.
#[derive(Debug, Clone, Copy)]
pub enum PolicyChange<'a> {
    /// A policy was listed, created or changed.
    Applied {
        /// The policy as it was seen last; `None` for a new one.
        before: Option<&'a DevOpsPolicy>,
        /// The policy as it is now.
        after: &'a Arc<DevOpsPolicy>,
        /// True while a list is under way, at whose end [`PolicyChange::Listed`] follows.
        listing: bool,
    },
    /// A policy was deleted, or can no longer be read.
    Removed(&'a PolicyRef),
    /// A cluster policy was listed, created, changed or deleted, or can no longer be read.
    Cluster {
        /// The name of the policy.
        name: &'a str,
        /// The namespaces in which it is in effect, or was before the change.
        namespaces: &'a BTreeSet<String>,
    },
    /// A policy can't be read.
    Unreadable,
    /// All policies were listed, or all of one namespace.
    Listed,
}
