//! The selected entries of a kubeconfig and the flags that override them.

use super::error::Place;
use super::kubeconfig::{Cluster, User};
use std::path::PathBuf;

/// The flags that override the kubeconfig, as with kubectl. Empty ones count as unset.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The context to use, in place of the current one.
    pub context: Option<String>,
    /// The cluster to use, in place of the context's.
    pub cluster: Option<String>,
    /// The user to use, in place of the context's.
    pub user: Option<String>,
    /// The address of the API server.
    pub server: Option<String>,
    /// The name that the server's certificate has to be valid for.
    pub tls_server_name: Option<String>,
    /// The file with the trusted certificate authorities.
    pub certificate_authority: Option<PathBuf>,
    /// True to skip the check of the server's certificate.
    pub insecure_skip_tls_verify: bool,
    /// The bearer token.
    pub token: Option<String>,
    /// The name for basic authentication.
    pub username: Option<String>,
    /// The password for basic authentication.
    pub password: Option<String>,
    /// True to ask for uncompressed responses.
    pub disable_compression: bool,
    /// The file with the client's certificate.
    pub client_certificate: Option<PathBuf>,
    /// The file with its key.
    pub client_key: Option<PathBuf>,
    /// The user to act as.
    pub impersonate: Option<String>,
    /// The UID to act as.
    pub impersonate_uid: Option<String>,
    /// The groups to act as a member of.
    pub impersonate_groups: Vec<String>,
}

/// The selected cluster and user, and the flags that override them.
pub(super) struct Entries<'a> {
    pub(super) cluster: Cluster,
    pub(super) user: User,
    pub(super) cluster_name: &'a str,
    pub(super) user_name: &'a str,
    pub(super) flags: &'a Overrides,
}

impl Entries<'_> {
    /// Returns a place in the cluster's entry.
    pub(super) fn cluster_field(&self, field: &'static str) -> Place {
        let file = self.cluster.origin.clone();
        Place::Field { file, kind: "cluster", name: self.cluster_name.to_owned(), field }
    }

    /// Returns a place in the user's entry.
    pub(super) fn user_field(&self, field: &'static str) -> Place {
        match field {
            "username" if given(self.flags.username.as_ref()).is_some() => return Place::Flag("--username"),
            "password" if given(self.flags.password.as_ref()).is_some() => return Place::Flag("--password"),
            _ => {}
        }
        let file = self.user.origin.clone();
        Place::Field { file, kind: "user", name: self.user_name.to_owned(), field }
    }
}

/// Returns the value of a flag unless it is empty.
pub(super) fn given(flag: Option<&String>) -> Option<&String> {
    flag.filter(|text| !text.is_empty())
}

/// Returns the path of a flag unless it is empty.
pub(super) fn given_path(flag: Option<&PathBuf>) -> Option<&PathBuf> {
    flag.filter(|path| !path.as_os_str().is_empty())
}
