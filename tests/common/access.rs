//! The service accounts of an installation.

use crate::apply::apply;
use crate::eventually::eventually;
use crate::kubeconfig::{client_of, render};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use kube_devops::manifests::installation::{self, Installation};
use kube_devops::manifests::{Mode, RECONCILE_LEASE, self_fence};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Creates accounts on one API server.
pub(crate) struct Accounts<'a> {
    /// An administrator's client.
    pub(crate) client: Client,
    /// The URL of the API server.
    pub(crate) server: &'a str,
    /// The certificate authority of the API server.
    pub(crate) authority: &'a Path,
    /// The directory for the accounts' kubeconfigs.
    pub(crate) directory: &'a Path,
}

impl Accounts<'_> {
    /// Installs the account of a mode with exactly the objects that `deploy generate-rbac` prints, and returns a kubeconfig
    /// for it. The cluster-wide role has the home in its name, so that accounts in several homes do not collide.
    pub(crate) async fn operator(&self, home: &str, mode: Mode) -> PathBuf {
        let installation =
            Installation { namespace: home.to_owned(), modes: vec![mode], ..Installation::default() };
        let mut objects = installation::rbac(&installation);
        if mode == Mode::Enforce {
            objects.extend(self_fence(home, RECONCILE_LEASE, &[]));
        }
        for object in &mut objects {
            if ["ClusterRole", "ClusterRoleBinding"].iter().any(|kind| object["kind"] == *kind) {
                let name = object["metadata"]["name"].as_str().expect("a name");
                object["metadata"]["name"] = format!("{home}-{name}").into();
                if object["kind"] == "ClusterRoleBinding" {
                    object["roleRef"]["name"] = object["metadata"]["name"].clone();
                }
            }
            let is_fence = object["apiVersion"] == "admissionregistration.k8s.io/v1";
            match apply(&self.client, object).await {
                // A test can switch the kinds of the fence off.
                Err(kube::Error::Api(status)) if is_fence && status.code == 404 => {}
                applied => drop(applied.expect("an object of the installation")),
            }
        }
        let account = objects.iter().find(|object| object["kind"] == "ServiceAccount").expect("an account");
        let kubeconfig = self.kubeconfig(home, account["metadata"]["name"].as_str().expect("a name")).await;
        let access = if mode == Mode::Webhook {
            list("devops.stochastic.io", "devopspolicies")
        } else {
            list("", "pods")
        };
        self.until_granted(&kubeconfig, access).await;
        kubeconfig
    }

    /// Writes a kubeconfig for an existing account.
    pub(crate) async fn kubeconfig(&self, namespace: &str, name: &str) -> PathBuf {
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
        let spec = TokenRequestSpec { audiences: vec![], ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let token = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let token = token.ok().and_then(|request| request.status).expect("a token").token;
        let kubeconfig = self.directory.join(format!("{namespace}-{name}.kubeconfig"));
        fs::write(&kubeconfig, render(self.server, self.authority, &token, namespace))
            .expect("a kubeconfig file");
        kubeconfig
    }

    /// Waits until the API server grants an access: roles take effect with a short delay.
    pub(crate) async fn until_granted(&self, kubeconfig: &Path, spec: SelfSubjectAccessReviewSpec) {
        let reviews = Api::<SelfSubjectAccessReview>::all(client_of(kubeconfig).await);
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        eventually("the API server grants a rule", async || {
            let answer = reviews.create(&PostParams::default(), &review).await.expect("an access review");
            answer.status.filter(|status| status.allowed)
        })
        .await;
    }
}

/// The access to a list of objects in all namespaces.
fn list(group: &str, resource: &str) -> SelfSubjectAccessReviewSpec {
    let attributes = json!({ "group": group, "resource": resource, "verb": "list", "version": "v1" });
    serde_json::from_value(json!({ "resourceAttributes": attributes })).expect("a review")
}
