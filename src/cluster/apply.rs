//! Installs objects by server-side apply and reports the result.

use super::{CallError, Cluster};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt};
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two checks that a CRD is served.
const PAUSE: Duration = Duration::from_millis(100);

/// The result of an apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The object did not exist before.
    Created,
    /// The object was different before.
    Changed,
    /// The object was the same before.
    Unchanged,
}

impl Applied {
    /// Compares the metadata before and after an apply; `before` is `None` for an object that did not exist.
    fn between(before: Option<&DynamicObject>, after: &DynamicObject) -> Self {
        match before {
            None => Self::Created,
            Some(before) if before.resource_version() == after.resource_version() => Self::Unchanged,
            Some(_) => Self::Changed,
        }
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        })
    }
}

/// The reason why a CRD is not served.
#[derive(Debug, thiserror::Error)]
pub enum EstablishError {
    /// The call to the API server failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Another resource already uses its names.
    #[error("the API server refuses its names: {0}: find the other resource with `kubectl api-resources`")]
    Names(String),
    /// It is being deleted, together with all its objects.
    #[error("it is being deleted, with all its objects: try again when it is gone")]
    Deleted,
    /// It was not served in time.
    #[error("not established within {0:?}: allow more time with --request-timeout")]
    Late(Duration),
}

impl Cluster {
    /// Returns the object without a namespace that has the kind and the name of another; `None` if there is none.
    pub async fn get_object(&self, like: &Value) -> Result<Option<DynamicObject>, CallError> {
        let name = like["metadata"]["name"].as_str().unwrap_or_default();
        let resource = ApiResource::from_gvk(&kind_of(like));
        self.call(async |client| Api::all_with(client, &resource).get_opt(name).await).await
    }

    /// Applies an object without a namespace as a field manager. It takes over fields that other managers set to another
    /// value.
    ///
    /// An error with code 404 means that the API server does not know the kind.
    pub async fn apply_object(&self, object: &Value, manager: &str) -> Result<Applied, CallError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let resource = ApiResource::from_gvk(&kind_of(object));
        let api = |client| Api::<DynamicObject>::all_with(client, &resource);
        let before = self.get_object(object).await?;
        let params = PatchParams::apply(manager).force();
        let apply = async |client| api(client).patch(name, &params, &Patch::Apply(object)).await;
        let after = self.call(apply).await?;
        Ok(Applied::between(before.as_ref(), &after))
    }

    /// Applies an object as [`Self::apply_object`] does. If its spec has more than the given one afterwards, because
    /// another client added fields, it is replaced. `is_same` compares the stored object with the given one.
    pub async fn apply_exactly(
        &self,
        object: &Value,
        manager: &str,
        is_same: impl Fn(&Value, &Value) -> bool,
    ) -> Result<Applied, CallError> {
        let applied = self.apply_object(object, manager).await?;
        let Some(mut stored) = self.get_object(object).await? else { return Ok(applied) };
        if is_same(&stored.data, object) {
            return Ok(applied);
        }
        let before = stored.clone();
        stored.data["spec"] = object["spec"].clone();
        let resource = ApiResource::from_gvk(&kind_of(object));
        let params = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
        let name = stored.name_any();
        let replace = async |client| {
            Api::<DynamicObject>::all_with(client, &resource).replace(&name, &params, &stored).await
        };
        let after = self.call(replace).await?;
        Ok(if applied == Applied::Unchanged { Applied::between(Some(&before), &after) } else { applied })
    }

    /// Returns a CRD, or `None` if it does not exist.
    pub async fn crd(&self, name: &str) -> Result<Option<DynamicObject>, CallError> {
        self.call(async |client| crds(client).get_opt(name).await).await
    }

    /// Applies a CRD as a field manager. It takes over fields that other managers set to another value.
    pub async fn apply_crd(
        &self,
        crd: &CustomResourceDefinition,
        manager: &str,
    ) -> Result<Applied, CallError> {
        let name = crd.name_any();
        let before = self.crd(&name).await?;
        let params = PatchParams::apply(manager).force();
        let apply = async |client| crds(client).patch(&name, &params, &Patch::Apply(crd)).await;
        Ok(Applied::between(before.as_ref(), &self.call(apply).await?))
    }

    /// Waits until the API server serves a CRD's resources, at most as long as one call may take.
    pub async fn wait_until_established(&self, name: &str) -> Result<(), EstablishError> {
        let start = Instant::now();
        loop {
            if let Some(crd) = self.crd(name).await?
                && is_established(&crd)?
            {
                return Ok(());
            }
            if let Some(limit) = self.request_timeout.filter(|limit| start.elapsed() >= *limit) {
                return Err(EstablishError::Late(limit));
            }
            sleep(PAUSE).await;
        }
    }
}

pub(super) fn kind_of(object: &Value) -> GroupVersionKind {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    GroupVersionKind::gvk(group, version, text("kind"))
}

/// The API for CRDs, which does not parse their schemas.
fn crds(client: kube::Client) -> Api<DynamicObject> {
    Api::all_with(client, &ApiResource::erase::<CustomResourceDefinition>(&()))
}

fn is_established(crd: &DynamicObject) -> Result<bool, EstablishError> {
    if crd.metadata.deletion_timestamp.is_some() {
        return Err(EstablishError::Deleted);
    }
    let conditions = crd.data.pointer("/status/conditions").and_then(Value::as_array);
    let condition = |name: &str, status: &str| {
        conditions.into_iter().flatten().find(|one| one["type"] == name && one["status"] == status)
    };
    if let Some(refused) = condition("NamesAccepted", "False") {
        return Err(EstablishError::Names(refused["message"].as_str().unwrap_or_default().to_owned()));
    }
    Ok(condition("Established", "True").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn crd(metadata: &Value, conditions: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "metadata": metadata,
            "status": { "conditions": conditions },
        }))
        .unwrap()
    }

    #[test]
    fn a_crd_is_established_when_the_api_server_says_so() {
        let named = json!({ "name": "ks.g" });
        let condition =
            |name: &str, status: &str| json!([{ "type": name, "status": status, "message": "why" }]);
        assert!(!is_established(&crd(&named, &json!([]))).unwrap());
        assert!(!is_established(&crd(&named, &condition("NamesAccepted", "True"))).unwrap());
        assert!(!is_established(&crd(&named, &condition("Established", "False"))).unwrap());
        assert!(is_established(&crd(&named, &condition("Established", "True"))).unwrap());
        let refused = is_established(&crd(&named, &condition("NamesAccepted", "False")));
        assert!(matches!(refused, Err(EstablishError::Names(message)) if message == "why"));
        let leaving = json!({ "name": "ks.g", "deletionTimestamp": "2026-01-01T00:00:00Z" });
        let deleted = is_established(&crd(&leaving, &condition("Established", "True")));
        assert!(matches!(deleted, Err(EstablishError::Deleted)));
    }
}
