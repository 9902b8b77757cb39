//! Deletes single objects of any kind.

use std::time::Duration;

use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind};
use tokio::time::{Instant, sleep};

use super::{CallError, Cluster};

/// The pause between two looks at an object.
const POLL: Duration = Duration::from_millis(500);

/// The result of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The object does not exist, or the API server does not have its kind.
    Absent,
    /// The object is deleted.
    Deleted,
    /// The object is deleted once its finalizers are gone.
    Pending,
}

impl Cluster {
    /// Deletes an object.
    pub async fn remove(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Removal, CallError> {
        let resource = resource(api_version, kind);
        let delete =
            async |client| api(client, &resource, namespace).delete(name, &DeleteParams::default()).await;
        match self.call(delete).await {
            // The API server answers with the object if it still exists, and with a `Status` if not.
            Ok(answer) => Ok(answer.either(|_| Removal::Pending, |_| Removal::Deleted)),
            Err(error) if error.code() == Some(404) => Ok(Removal::Absent),
            Err(error) => Err(error),
        }
    }

    /// Waits until a deleted object is gone. Returns false if it still exists at the deadline.
    pub async fn wait_until_gone(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        deadline: Instant,
    ) -> Result<bool, CallError> {
        let resource = resource(api_version, kind);
        loop {
            let read = async |client| api(client, &resource, namespace).get_metadata_opt(name).await;
            // An object that is not being deleted was created again under the same name.
            let found = self.call(read).await?;
            if found.is_none_or(|object| object.metadata.deletion_timestamp.is_none()) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(POLL).await;
        }
    }
}

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn api(client: kube::Client, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, resource),
        None => Api::all_with(client, resource),
    }
}
