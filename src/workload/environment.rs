//! The environment variables and ports of a container.

use serde::Deserialize;

use super::Text;
use super::fields::nullable;
use super::object_only::object_only;
use super::unread::{FieldRef, Unread, Words};

object_only!(EnvVar<'a>, EnvSource<'a>, KeyRef<'a>, EnvFrom<'a>, EnvFromRef<'a>, ContainerPort<'a>);

/// An environment variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "an environment variable")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct EnvVar<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub name: Text<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub value: Text<'a>,
    #[serde(borrow)]
    pub value_from: Option<Box<EnvSource<'a>>>,
}

/// The source of a variable's value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "the source of a value")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct EnvSource<'a> {
    #[serde(borrow)]
    pub config_map_key_ref: Option<KeyRef<'a>>,
    #[serde(borrow)]
    pub secret_key_ref: Option<KeyRef<'a>>,
    #[serde(default)]
    pub(super) field_ref: Unread<FieldRef>,
}

/// A reference to a key of a `ConfigMap` or Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a reference to a key")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct KeyRef<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub name: Text<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub key: Text<'a>,
    #[serde(default, deserialize_with = "nullable")]
    pub optional: bool,
}

/// Variables from all keys of a `ConfigMap` or Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a source of variables")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct EnvFrom<'a> {
    #[serde(borrow)]
    pub config_map_ref: Option<EnvFromRef<'a>>,
    #[serde(borrow)]
    pub secret_ref: Option<EnvFromRef<'a>>,
    #[serde(default)]
    pub(super) prefix: Unread<Words>,
}

/// A reference to a `ConfigMap` or Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a reference")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct EnvFromRef<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub name: Text<'a>,
    #[serde(default, deserialize_with = "nullable")]
    pub optional: bool,
}

/// A port that a container declares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a port")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct ContainerPort<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub name: Text<'a>,
    #[serde(default, deserialize_with = "nullable")]
    pub container_port: i64,
    #[serde(default, deserialize_with = "nullable")]
    pub host_port: i64,
    /// `TCP` if absent.
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub protocol: Text<'a>,
    #[serde(rename = "hostIP", default)]
    pub(super) host_ip: Unread<Words>,
}

impl ContainerPort<'_> {
    /// The port's protocol, the API server's default included.
    pub fn protocol(&self) -> &str {
        if self.protocol.is_empty() { "TCP" } else { &self.protocol }
    }
}
