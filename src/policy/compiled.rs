//! A policy with its compiled rules, so that it is compiled only once.

use std::borrow::Borrow;
use std::sync::Arc;

use super::{DevOpsPolicy, EffectivePolicy, PolicyError};

/// A policy with the rules that it comes down to.
#[derive(Debug, Clone)]
pub struct CompiledPolicy {
    /// The policy.
    pub policy: Arc<DevOpsPolicy>,
    /// The rules that count, or the reason why the policy can't be followed.
    pub effective: Result<Arc<EffectivePolicy>, Arc<PolicyError>>,
}

impl CompiledPolicy {
    /// Compiles a policy.
    pub fn new(policy: impl Into<Arc<DevOpsPolicy>>) -> Self {
        let policy = policy.into();
        let effective = EffectivePolicy::from_spec(&policy.spec).map(Arc::new).map_err(Arc::new);
        Self { policy, effective }
    }
}

impl Borrow<DevOpsPolicy> for CompiledPolicy {
    fn borrow(&self) -> &DevOpsPolicy {
        &self.policy
    }
}
