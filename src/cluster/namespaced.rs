//! Reads, applies and deletes objects of any kind, and lists namespaces.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, Preconditions,
};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use super::apply::kind_of;
use super::{CallError, Cluster};

/// The number of objects of one page.
const PAGE: u32 = 500;

impl Cluster {
    /// Returns the object that has the kind, namespace and name of another; `None` if there is none.
    pub async fn get_namespaced(&self, like: &Value) -> Result<Option<DynamicObject>, CallError> {
        self.call(async |client| api(client, like).get_opt(name(like)).await).await
    }

    /// Applies an object, which names its namespace if its kind has one, and returns its new state.
    pub async fn apply_namespaced(
        &self,
        object: &Value,
        params: &PatchParams,
    ) -> Result<DynamicObject, CallError> {
        self.call(async |client| api(client, object).patch(name(object), params, &Patch::Apply(object)).await)
            .await
    }

    /// Deletes an object in the version that was read. A newer version stays, and is a conflict.
    ///
    /// `like` is an object with its kind.
    pub async fn delete_namespaced(
        &self,
        like: &Value,
        object: &DynamicObject,
        dry_run: bool,
    ) -> Result<(), CallError> {
        let resource = ApiResource::from_gvk(&kind_of(like));
        let (namespace, name) = (object.namespace(), object.name_any());
        let api = |client| match &namespace {
            Some(namespace) => Api::<DynamicObject>::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        };
        let preconditions = Preconditions { uid: object.uid(), resource_version: object.resource_version() };
        let params = DeleteParams { dry_run, preconditions: Some(preconditions), ..DeleteParams::default() };
        self.call(async |client| api(client).delete(&name, &params).await).await.map(|_| ())
    }

    /// Lists the objects of a kind, given by an object like them, in a namespace or in all.
    pub async fn list_like(
        &self,
        like: &Value,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<DynamicObject>, CallError> {
        let resource = ApiResource::from_gvk(&kind_of(like));
        let api = |client| match namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::<DynamicObject>::all_with(client, &resource),
        };
        let mut found = Vec::new();
        let mut params = pages(selector);
        loop {
            let page = self.call(async |client| api(client).list(&params).await).await?;
            found.extend(page.items);
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(found);
            }
        }
    }

    /// Returns the metadata of a Namespace, or of all.
    pub async fn namespaces(&self, name: Option<&str>) -> Result<Vec<ObjectMeta>, CallError> {
        if let Some(name) = name {
            return Ok(self.namespace_metadata(name).await?.into_iter().collect());
        }
        let mut found = Vec::new();
        let mut params = pages(None);
        loop {
            let list = async |client| Api::<Namespace>::all(client).list_metadata(&params).await;
            let page = self.call(list).await?;
            found.extend(page.items.into_iter().map(|namespace| namespace.metadata));
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(found);
            }
        }
    }

    /// Returns the names of the namespaces with some labels, or of all. Those that are being deleted are left out.
    pub async fn namespace_names(&self, selector: Option<&str>) -> Result<Vec<String>, CallError> {
        let mut names = Vec::new();
        let mut params =
            ListParams { label_selector: selector.map(str::to_owned), ..ListParams::default() }.limit(PAGE);
        loop {
            let page =
                self.call(async |client| Api::<Namespace>::all(client).list_metadata(&params).await).await?;
            let stays = |namespace: &&kube::core::PartialObjectMeta<Namespace>| {
                namespace.metadata.deletion_timestamp.is_none()
            };
            names.extend(page.items.iter().filter(stays).map(ResourceExt::name_any));
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(names);
            }
        }
    }
}

fn pages(selector: Option<&str>) -> ListParams {
    ListParams { label_selector: selector.map(str::to_owned), ..ListParams::default() }.limit(PAGE)
}

fn api(client: Client, object: &Value) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&kind_of(object));
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}
