//! A connection as it is asked for: what files and flags come to.

use super::address::{Address, Login};
use super::error::Place;
use super::kubeconfig::Exec;
use super::proxy::Proxy;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A connection as it is asked for, before any file of certificates or tokens is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) context: String,
    pub(super) namespace: String,
    pub(super) server: Address,
    /// The proxy that the kubeconfig names, which counts more than the environment.
    pub(super) proxy: Option<Proxy>,
    pub(super) compressed: bool,
    pub(super) trust: Trust,
    pub(super) identity: Option<(Material, Material)>,
    pub(super) login: LoginMethod,
    pub(super) impersonation: Option<Impersonation>,
}

/// How the server proves that it is the one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Trust {
    pub(super) insecure: bool,
    /// Another name than the address has.
    pub(super) server_name: Option<(String, Place)>,
    /// The certificates; none for those of the system.
    pub(super) authority: Option<Material>,
}

/// Something in a kubeconfig or in a file that it names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Material {
    pub(super) content: Content,
    pub(super) place: Place,
}

/// Where [`Material`] is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Data(Vec<u8>),
    File(PathBuf),
}

/// How the client proves who it is, beside a certificate.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum LoginMethod {
    #[default]
    Anonymous,
    Basic(Login, Place),
    /// A token, a file with one, or both: the file counts as long as it can be read.
    Token {
        token: Option<(String, Place)>,
        file: Option<(PathBuf, Place)>,
    },
    Exec(Box<ExecLogin>),
}

/// An exec plugin and what it is told about the cluster.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ExecLogin {
    pub(super) exec: Exec,
    pub(super) config: serde_json::Value,
    pub(super) proxy_url: String,
    pub(super) place: Place,
}

/// Whom the client acts as, and where that is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Impersonation {
    pub(super) user: String,
    pub(super) uid: String,
    pub(super) groups: Vec<String>,
    pub(super) extra: BTreeMap<String, Vec<String>>,
    pub(super) place: Place,
}
