//! A cluster policy with the namespaces that it selects. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::core::{Selector, SelectorExt as _};

use crate::policy::{ClusterDevOpsPolicy, CompiledPolicy, DevOpsPolicy};

/// The labels of a Namespace.
pub(super) type NamespaceLabels = BTreeMap<String, String>;

/// A cluster policy with its compiled rules and its namespaces.
#[derive(Debug, Clone)]
pub struct ClusterPolicy {
    /// The policy.
    pub policy: Arc<ClusterDevOpsPolicy>,
    /// The policy as it is in effect in all of its namespaces together.
    pub compiled: CompiledPolicy,
    /// The namespaces in which it is in effect.
    pub namespaces: BTreeSet<String>,
    /// `None` for a selector that can't be read. It matches nothing.
    selector: Option<Selector>,
}

impl ClusterPolicy {
    /// Compiles a policy, unless its checks are those of `before`. It has no namespaces yet.
    pub(super) fn new(mut policy: ClusterDevOpsPolicy, before: Option<&Self>) -> Self {
        // They are larger than all the rest, and nobody reads them.
        policy.metadata.managed_fields = None;
        policy.metadata.annotations = None;
        let whole = Arc::new(policy.within(None));
        let compiled = match before {
            Some(before) if before.compiled.policy.spec == whole.spec => {
                CompiledPolicy { policy: whole, effective: before.compiled.effective.clone() }
            }
            _ => CompiledPolicy::new(whole),
        };
        // The API server accepts only selectors that can be read.
        let selector = Selector::try_from(policy.spec.namespace_selector.clone()).ok();
        Self { policy: Arc::new(policy), compiled, namespaces: BTreeSet::new(), selector }
    }

    /// Returns true if the policy selects a Namespace by its labels.
    pub(super) fn selects(&self, labels: &NamespaceLabels) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }

    /// Returns the policy as it is in effect in one namespace.
    pub(super) fn within(&self, namespace: &str) -> CompiledPolicy {
        let policy: Arc<DevOpsPolicy> = Arc::new(self.policy.within(Some(namespace)));
        CompiledPolicy { policy, effective: self.compiled.effective.clone() }
    }
}
