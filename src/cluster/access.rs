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
    /// The API group, empty for the core one.
    pub group: String,
    /// The resource, such as `pods`.
    pub resource: String,
    /// The subresource, such as `status`.
    pub subresource: Option<String>,
    /// The namespace; `None` for all namespaces, and for cluster-scoped resources.
    pub namespace: Option<String>,
}

impl Access {
    fn review(&self) -> SelfSubjectAccessReview {
        let attributes = ResourceAttributes {
            verb: Some(self.verb.clone()),
            group: Some(self.group.clone()),
            resource: Some(self.resource.clone()),
            subresource: self.subresource.clone(),
            namespace: self.namespace.clone(),
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
    /// Returns for each access, in order, whether it is allowed. Stops at the first failed call.
    pub async fn allowed(&self, accesses: &[Access]) -> Result<Vec<bool>, CallError> {
        let reviews: Vec<_> = accesses.iter().map(Access::review).collect();
        let ask = async |review: SelfSubjectAccessReview| {
            let review = &review;
            let answer = self
                .call(async |client: kube::Client| {
                    Api::<SelfSubjectAccessReview>::all(client).create(&PostParams::default(), review).await
                })
                .await?;
            Ok(answer.status.is_some_and(|status| status.allowed))
        };
        let mut answers = stream::iter(reviews.into_iter().map(ask)).buffered(CONCURRENT);
        let mut allowed = Vec::with_capacity(accesses.len());
        while let Some(answer) = answers.next().await {
            allowed.push(answer?);
        }
        Ok(allowed)
    }
}
