//! The configuration of a connection: the result of files and flags.

use super::error::Place;
use super::kubeconfig::Exec;
use crate::proxy::Proxy;
use crate::proxy::{Address, Login};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The configuration of a connection. Its certificate and token files have not been read yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) context: String,
    pub(super) namespace: String,
    pub(super) server: Address,
    /// The proxy that the kubeconfig names. It takes precedence over the environment.
    pub(super) proxy: Option<Proxy>,
    pub(super) compressed: bool,
    pub(super) trust: Trust,
    pub(super) identity: Option<(Material, Material)>,
    pub(super) login: LoginMethod,
    pub(super) impersonation: Option<Impersonation>,
}

/// The settings that verify the server's certificate.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Trust {
    pub(super) insecure: bool,
    /// The certificate's name, if it differs from the host.
    pub(super) server_name: Option<(String, Place)>,
    /// The trusted certificates; `None` for those of the system.
    pub(super) authority: Option<Material>,
}

/// Something in a kubeconfig or in a file that it names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Material {
    pub(super) content: Content,
    pub(super) place: Place,
}

/// The location of a [`Material`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Data(Vec<u8>),
    File(PathBuf),
}

/// The client's credentials beside a certificate.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum LoginMethod {
    #[default]
    Anonymous,
    Basic(Login, Place),
    /// A token, a token file, or both. The file takes precedence while it can be read.
    Token {
        token: Option<(String, Place)>,
        file: Option<(PathBuf, Place)>,
    },
    Exec(Box<ExecLogin>),
}

/// An exec plugin and the cluster's description for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ExecLogin {
    pub(super) exec: Exec,
    pub(super) config: serde_json::Value,
    pub(super) proxy_url: String,
    pub(super) place: Place,
}

/// The impersonated user, and the place that names it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Impersonation {
    pub(super) user: String,
    pub(super) uid: String,
    pub(super) groups: Vec<String>,
    pub(super) extra: BTreeMap<String, Vec<String>>,
    pub(super) place: Place,
}
