//! Service accounts with exactly the permissions that a test grants.

use crate::access::Accounts;
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Resource};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use std::path::PathBuf;

/// The scope of an account's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Namespace,
    Cluster,
}

impl Accounts<'_> {
    /// Creates a `ServiceAccount` with only these permissions, and returns a kubeconfig for it.
    ///
    /// Returns once the API server grants the first rule: roles take effect with a short delay.
    pub(crate) async fn restricted(
        &self,
        namespace: &str,
        name: &str,
        rules: &[PolicyRule],
        reach: Reach,
    ) -> PathBuf {
        let client = self.client.clone();
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
        create(&accounts, ServiceAccount { metadata: metadata.clone(), ..ServiceAccount::default() }).await;
        match reach {
            _ if rules.is_empty() => {}
            Reach::Namespace => bind(&client, namespace, metadata, rules.to_vec()).await,
            Reach::Cluster => bind_everywhere(&client, namespace, name, rules.to_vec()).await,
        }
        let kubeconfig = self.kubeconfig(namespace, name).await;
        if let Some(rule) = rules.first() {
            let question = question(rule, (reach == Reach::Namespace).then_some(namespace));
            self.until_granted(&kubeconfig, question).await;
        }
        kubeconfig
    }
}

async fn bind(client: &Client, namespace: &str, metadata: ObjectMeta, rules: Vec<PolicyRule>) {
    let name = metadata.name.clone().unwrap_or_default();
    let role = Role { metadata: metadata.clone(), rules: Some(rules) };
    create(&Api::namespaced(client.clone(), namespace), role).await;
    let binding = RoleBinding {
        metadata,
        role_ref: role_ref("Role", &name),
        subjects: Some(vec![subject(namespace, name)]),
    };
    create(&Api::<RoleBinding>::namespaced(client.clone(), namespace), binding).await;
}

async fn bind_everywhere(client: &Client, namespace: &str, name: &str, rules: Vec<PolicyRule>) {
    let unique = format!("{namespace}-{name}");
    let metadata = ObjectMeta { name: Some(unique.clone()), ..ObjectMeta::default() };
    let role = ClusterRole { metadata: metadata.clone(), rules: Some(rules), aggregation_rule: None };
    create(&Api::all(client.clone()), role).await;
    let binding = ClusterRoleBinding {
        metadata,
        role_ref: role_ref("ClusterRole", &unique),
        subjects: Some(vec![subject(namespace, name.to_owned())]),
    };
    create(&Api::<ClusterRoleBinding>::all(client.clone()), binding).await;
}

fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef { api_group: "rbac.authorization.k8s.io".into(), kind: kind.into(), name: name.into() }
}

fn subject(namespace: &str, name: String) -> Subject {
    Subject { kind: "ServiceAccount".into(), name, namespace: Some(namespace.into()), api_group: None }
}

/// Returns an access review for the first action that a rule allows.
fn question(rule: &PolicyRule, namespace: Option<&str>) -> SelfSubjectAccessReviewSpec {
    let first = |of: &Option<Vec<String>>| of.as_ref().and_then(|of| of.first().cloned());
    let verb = rule.verbs.first().cloned();
    if let Some(path) = first(&rule.non_resource_urls) {
        let attributes = NonResourceAttributes { path: Some(path), verb };
        return SelfSubjectAccessReviewSpec {
            non_resource_attributes: Some(attributes),
            resource_attributes: None,
        };
    }
    let resource = first(&rule.resources).unwrap_or_default();
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource.to_owned(), Some(subresource.to_owned())),
        None => (resource, None),
    };
    let attributes = ResourceAttributes {
        group: first(&rule.api_groups),
        resource: Some(resource),
        subresource,
        name: first(&rule.resource_names),
        namespace: namespace.map(str::to_owned),
        verb,
        ..ResourceAttributes::default()
    };
    SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), non_resource_attributes: None }
}

async fn create<K>(api: &Api<K>, object: K)
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let kind = K::kind(&());
    api.create(&PostParams::default(), &object)
        .await
        .unwrap_or_else(|error| panic!("cannot create the {kind}: {error}"));
}
