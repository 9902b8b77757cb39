//! The flags for the credentials of a connection.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::cluster::Overrides;

/// Credentials, as with kubectl.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct LoginArgs {
    /// Bearer token [default: the user's]
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,

    /// User name for basic authentication [default: the user's]
    #[arg(long, value_name = "NAME")]
    username: Option<String>,

    /// Password for basic authentication [default: the user's]
    #[arg(long, value_name = "PASSWORD")]
    password: Option<String>,

    /// File with the client certificate [default: the user's]
    #[arg(long, value_name = "FILE", value_parser = path())]
    client_certificate: Option<PathBuf>,

    /// File with the key of the client certificate [default: the user's]
    #[arg(long, value_name = "FILE", value_parser = path())]
    client_key: Option<PathBuf>,

    /// User to impersonate
    #[arg(id = "as", long = "as", value_name = "USER")]
    impersonate: Option<String>,

    /// Group to impersonate (repeatable)
    #[arg(id = "as-group", long = "as-group", value_name = "GROUP")]
    impersonate_groups: Vec<String>,

    /// UID to impersonate
    #[arg(id = "as-uid", long = "as-uid", value_name = "UID")]
    impersonate_uid: Option<String>,
}

impl LoginArgs {
    /// Adds the credentials to the other overrides.
    pub(super) fn add_to(&self, overrides: Overrides) -> Overrides {
        Overrides {
            token: self.token.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            client_certificate: self.client_certificate.clone(),
            client_key: self.client_key.clone(),
            impersonate: self.impersonate.clone(),
            impersonate_uid: self.impersonate_uid.clone(),
            impersonate_groups: self.impersonate_groups.clone(),
            ..overrides
        }
    }
}

/// Parses a path. As with kubectl, an empty one counts as unset.
pub(super) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}
