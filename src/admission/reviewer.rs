//! Answers the body of an admission request from the policies in memory. Knows no HTTP.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use tracing::error;

use super::metrics::RequestResult;
use super::mutate::{created_kind, mutate};
use super::review::refusal;
use super::{
    AdmissionDecision, AdmissionMetrics, AdmissionRequest, NamespaceSurroundings, NativeNamespaces,
    ReviewAnswer, answer, decide, denial, parse_review, warnings,
};
use crate::enforcement::Surroundings;
use crate::policies::Policies;

/// Answers admission requests.
pub struct Reviewer {
    policies: Arc<Policies>,
    native: NativeNamespaces,
    surroundings: NamespaceSurroundings,
    metrics: AdmissionMetrics,
    clock: fn() -> Timestamp,
}

/// An answer to the body of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The HTTP status: 200, or 400 for a body that is no review of version v1.
    pub status: u16,
    /// The `AdmissionReview` of the answer.
    pub review: Value,
}

/// The warning of a request that no policy evaluated, because the policies were not read yet.
const UNSYNCED: &str = "kube-devops has not read the policies yet, so this object was not evaluated";
/// The warning of a request that no cluster policy evaluated, because the Namespaces that they select were not read
/// yet.
const UNSYNCED_CLUSTER_POLICIES: &str =
    "kube-devops has not read the Namespaces yet, so no ClusterDevOpsPolicy evaluated this object";
/// The warning of a request that no policy evaluated, because of an internal error.
const INTERNAL: &str =
    "kube-devops failed to evaluate this object, so it was allowed: see the log of the webhook";

impl Reviewer {
    /// Creates a reviewer that answers from these policies and namespaces, which the caller keeps up to date.
    pub fn new(
        policies: Arc<Policies>,
        native: NativeNamespaces,
        surroundings: NamespaceSurroundings,
        metrics: AdmissionMetrics,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self { policies, native, surroundings, metrics, clock }
    }

    /// Answers the body of a validation. It never fails: after an internal error the object is allowed with a warning.
    pub fn reply(&self, body: &[u8]) -> Reply {
        self.reply_by(body, Self::evaluate, internal)
    }

    /// Answers the body of a mutation. It never fails: after an internal error the object stays as it is.
    pub fn reply_with_defaults(&self, body: &[u8]) -> Reply {
        self.reply_by(body, Self::mutated, || unchanged(RequestResult::Error))
    }

    fn reply_by(
        &self,
        body: &[u8],
        evaluate: impl Fn(&Self, &AdmissionRequest<'_>) -> (ReviewAnswer, RequestResult),
        failed: impl Fn() -> (ReviewAnswer, RequestResult),
    ) -> Reply {
        let request = match parse_review(body) {
            Ok(request) => request,
            Err(error) => {
                self.metrics.count(None, RequestResult::Invalid);
                return Reply { status: 400, review: refusal(&error, 400) };
            }
        };
        let (verdict, result) =
            catch_unwind(AssertUnwindSafe(|| evaluate(self, &request))).unwrap_or_else(|_| {
                error!(uid = &*request.uid, namespace = request.namespace(), "panicked while evaluating");
                failed()
            });
        self.metrics.count(Some(request.operation), result);
        Reply { status: 200, review: answer(&request.uid, &verdict) }
    }

    pub(super) fn metrics(&self) -> &AdmissionMetrics {
        &self.metrics
    }

    fn evaluate(&self, request: &AdmissionRequest<'_>) -> (ReviewAnswer, RequestResult) {
        let namespace = request.namespace();
        if namespace.is_empty() || self.policies.is_system(namespace) || request.admitted_kind().is_none() {
            return (ReviewAnswer::Allowed { warnings: Vec::new() }, RequestResult::Allowed);
        }
        if !self.policies.is_listed() {
            return (ReviewAnswer::Allowed { warnings: vec![UNSYNCED.to_owned()] }, RequestResult::Unsynced);
        }
        let (policies, native) = (self.policies.in_namespace(namespace), self.native.verdict(namespace));
        let exemptions = self.native.exemptions(namespace);
        match decide(request, &policies, native.as_deref(), &exemptions, (self.clock)()) {
            Ok(mut decision) => {
                let is_unsynced = !self.native.is_listed() && !self.policies.cluster_names().is_empty();
                if is_unsynced {
                    decision.problems.push(UNSYNCED_CLUSTER_POLICIES.to_owned());
                }
                match self.verdict(&decision) {
                    (answer, RequestResult::Warned) if is_unsynced => (answer, RequestResult::Unsynced),
                    verdict => verdict,
                }
            }
            Err(error) => {
                error!(uid = &*request.uid, namespace, %error, "failed to evaluate");
                internal()
            }
        }
    }

    /// Adds the defaults of the namespace's policies to a new workload.
    fn mutated(&self, request: &AdmissionRequest<'_>) -> (ReviewAnswer, RequestResult) {
        let namespace = request.namespace();
        if namespace.is_empty() || self.policies.is_system(namespace) || created_kind(request).is_none() {
            return unchanged(RequestResult::Unchanged);
        }
        if !self.policies.is_listed() {
            return unchanged(RequestResult::Unsynced);
        }
        let policies = self.policies.in_namespace(namespace);
        if !policies.iter().any(|known| known.policy.mutates()) {
            return unchanged(RequestResult::Unchanged);
        }
        let Some((surroundings, notes)) = self.surroundings.of(namespace) else {
            return unchanged(RequestResult::Unsynced);
        };
        let surroundings = Surroundings { exemptions: self.native.exemptions(namespace), ..surroundings };
        match mutate(request, &policies, &surroundings, &notes, (self.clock)()) {
            Ok(Some(patch)) => (ReviewAnswer::Patched { patch }, RequestResult::Mutated),
            Ok(None) => unchanged(RequestResult::Unchanged),
            Err(error) => {
                error!(uid = &*request.uid, namespace, %error, "failed to add defaults");
                unchanged(RequestResult::Error)
            }
        }
    }

    fn verdict(&self, decision: &AdmissionDecision) -> (ReviewAnswer, RequestResult) {
        let warnings = warnings(decision);
        if !decision.is_allowed() {
            self.metrics.count_denials(decision);
            return (ReviewAnswer::Denied { message: denial(decision), warnings }, RequestResult::Denied);
        }
        let result = if warnings.is_empty() { RequestResult::Allowed } else { RequestResult::Warned };
        (ReviewAnswer::Allowed { warnings }, result)
    }
}

fn unchanged(result: RequestResult) -> (ReviewAnswer, RequestResult) {
    (ReviewAnswer::Allowed { warnings: Vec::new() }, result)
}

fn internal() -> (ReviewAnswer, RequestResult) {
    (ReviewAnswer::Allowed { warnings: vec![INTERNAL.to_owned()] }, RequestResult::Error)
}

#[cfg(test)]
mod tests;
