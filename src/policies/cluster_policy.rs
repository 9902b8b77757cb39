//! A cluster policy with the namespaces that it selects. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::api::ObjectMeta;
use kube::core::{Selector, SelectorExt as _};

use crate::policy::{ClusterDevOpsPolicy, CompiledPolicy, keep_to_audit, keeps_to_audit};

/// A Namespace as cluster policies see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SelectableNamespace {
    pub(super) labels: BTreeMap<String, String>,
    /// True if the Namespace keeps cluster policies from patches.
    pub(super) keeps_to_audit: bool,
}

impl SelectableNamespace {
    /// Takes what counts of a Namespace.
    pub(super) fn of(metadata: &ObjectMeta) -> Self {
        Self { labels: metadata.labels.clone().unwrap_or_default(), keeps_to_audit: keeps_to_audit(metadata) }
    }
}

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
    pub(super) fn selects(&self, namespace: &SelectableNamespace) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(&namespace.labels))
    }

    /// Returns the policy as it is in effect in one namespace.
    pub(super) fn within(&self, namespace: &str, keeps_to_audit: bool) -> CompiledPolicy {
        let mut policy = self.policy.within(Some(namespace));
        if keeps_to_audit {
            keep_to_audit(&mut policy);
        }
        CompiledPolicy { policy: policy.into(), effective: self.compiled.effective.clone() }
    }

    /// Returns the policy within the namespaces that it no longer selects, and in which it has records of patches. It
    /// patches nothing more there, and goes on with what it did.
    pub fn former(&self) -> Vec<CompiledPolicy> {
        let recorded = self.policy.recorded_namespaces();
        let former = recorded.into_iter().filter(|namespace| !self.namespaces.contains(*namespace));
        former.map(|namespace| self.within(namespace, true)).collect()
    }
}
