//! Asks the API server whether the caller may do something.

use super::{CallError, Cluster};
use futures::{StreamExt, stream};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;

/// Maximum number of concurrent access reviews.
const CONCURRENT: usize = 8;

/// One action on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Access {
    /// The verb, such as `list`.
    pub verb: String,
    /// The API group, empty for the core group.
    pub group: String,
    /// The resource, such as `pods`.
    pub resource: String,
    /// The subresource, such as `status`.
    pub subresource: Option<String>,
    /// The namespace; `None` for all namespaces, and for cluster-scoped resources.
    pub namespace: Option<String>,
    /// The name of the object; `None` for all of them.
    pub name: Option<String>,
}

/// The API server's decision on an access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessDecision {
    /// True if the caller may do it.
    pub allowed: bool,
    /// The authorizer's reason, or its error, where it gives one.
    pub reason: Option<String>,
}

impl Access {
    fn review(&self) -> SelfSubjectAccessReview {
        let attributes = ResourceAttributes {
            verb: Some(self.verb.clone()),
            group: Some(self.group.clone()),
            resource: Some(self.resource.clone()),
            subresource: self.subresource.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            ..ResourceAttributes::default()
        };
        SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        }
    }
}

impl Cluster {
    /// Returns the decision on each access, in order. Stops at the first failed call.
    pub async fn allowed(&self, accesses: &[Access]) -> Result<Vec<AccessDecision>, CallError> {
        let reviews: Vec<_> = accesses.iter().map(Access::review).collect();
        let ask = async |review: SelfSubjectAccessReview| {
            let review = &review;
            let answer = self
                .call(async |client: kube::Client| {
                    Api::<SelfSubjectAccessReview>::all(client).create(&PostParams::default(), review).await
                })
                .await?;
            let status = answer.status.unwrap_or_default();
            let reason =
                status.evaluation_error.into_iter().chain(status.reason).find(|text| !text.is_empty());
            Ok(AccessDecision { allowed: status.allowed, reason })
        };
        let mut answers = stream::iter(reviews.into_iter().map(ask)).buffered(CONCURRENT);
        let mut decisions = Vec::with_capacity(accesses.len());
        while let Some(answer) = answers.next().await {
            decisions.push(answer?);
        }
        Ok(decisions)
    }
}
