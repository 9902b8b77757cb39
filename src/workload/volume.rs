//! The volumes of a pod.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::Text;
use super::fields::nullable;
use super::object_only::object_only;
use super::unread::{EmptyDir, Unread, Words};

object_only!(
    ClaimSource<'a>,
    HostPath<'a>,
    NamedSource<'a>,
    SecretVolume<'a>,
    Projected<'a>,
    ProjectedSource<'a>,
    KeyPath<'a>,
    VolumeMount<'a>
);

/// A volume of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Volume<'a> {
    /// The name that mounts refer to.
    pub name: Text<'a>,
    /// The fields that are set beside the name, such as `emptyDir`. A valid volume has at most one.
    pub sources: Vec<Text<'a>>,
    /// The content of those sources that rules look into.
    pub content: VolumeContent<'a>,
}

/// The content of a volume's source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum VolumeContent<'a> {
    /// A source that no rule looks into.
    #[default]
    Other,
    /// A directory of the node.
    HostPath(HostPath<'a>),
    /// The keys of a `ConfigMap`.
    ConfigMap(NamedSource<'a>),
    /// The keys of a Secret.
    Secret(SecretVolume<'a>),
    /// A claim of a persistent volume.
    Claim(ClaimSource<'a>),
    /// Several sources in one directory.
    Projected(Projected<'a>),
}

/// A claim of a persistent volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a reference to a claim")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct ClaimSource<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub claim_name: Text<'a>,
    #[serde(default)]
    pub(super) read_only: Unread<bool>,
}

/// A directory of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a hostPath")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct HostPath<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub path: Text<'a>,
    #[serde(rename = "type", default)]
    pub(super) type_: Unread<Words>,
}

/// A reference to a `ConfigMap` or Secret by its name, with the keys that are taken from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a reference")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct NamedSource<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub name: Text<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub items: Vec<KeyPath<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    pub optional: bool,
    #[serde(default)]
    pub(super) default_mode: Unread<i32>,
}

/// A Secret as a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a Secret")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct SecretVolume<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub secret_name: Text<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub items: Vec<KeyPath<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    pub optional: bool,
    #[serde(default)]
    pub(super) default_mode: Unread<i32>,
}

/// A key that a volume takes from a `ConfigMap` or Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a key and its path")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct KeyPath<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub key: Text<'a>,
    #[serde(default)]
    pub(super) path: Unread<Words>,
    #[serde(default)]
    pub(super) mode: Unread<i32>,
}

/// The sources of a projected volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a projected volume")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Projected<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub sources: Vec<ProjectedSource<'a>>,
}

/// A source of a projected volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a source of a projected volume")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct ProjectedSource<'a> {
    #[serde(borrow)]
    pub config_map: Option<NamedSource<'a>>,
    #[serde(borrow)]
    pub secret: Option<NamedSource<'a>>,
}

/// A mount of a volume in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a volume mount")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct VolumeMount<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub name: Text<'a>,
    #[serde(default, deserialize_with = "nullable")]
    pub read_only: bool,
    #[serde(default)]
    pub(super) mount_path: Unread<Words>,
    #[serde(default)]
    pub(super) sub_path: Unread<Words>,
    #[serde(default)]
    pub(super) sub_path_expr: Unread<Words>,
    #[serde(default)]
    pub(super) mount_propagation: Unread<Words>,
}

impl Volume<'_> {
    /// Returns true if the volume has this source.
    pub fn has(&self, source: &str) -> bool {
        self.sources.iter().any(|own| &**own == source)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Volume<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(VolumeVisitor)
    }
}

struct VolumeVisitor;

impl<'de> Visitor<'de> for VolumeVisitor {
    type Value = Volume<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a volume")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Volume<'de>, A::Error> {
        let mut volume = Volume::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            let content = match &*key {
                "name" => {
                    volume.name = map.next_value::<Option<_>>()?.unwrap_or_default();
                    continue;
                }
                "hostPath" => map.next_value::<Option<_>>()?.map(VolumeContent::HostPath),
                "configMap" => map.next_value::<Option<_>>()?.map(VolumeContent::ConfigMap),
                "secret" => map.next_value::<Option<_>>()?.map(VolumeContent::Secret),
                "projected" => map.next_value::<Option<_>>()?.map(VolumeContent::Projected),
                "emptyDir" => map.next_value::<Option<EmptyDir>>()?.map(|_| VolumeContent::Other),
                "persistentVolumeClaim" => map.next_value::<Option<_>>()?.map(VolumeContent::Claim),
                _ => map.next_value::<Option<super::Present>>()?.map(|_| VolumeContent::Other),
            };
            if let Some(content) = content {
                volume.sources.push(key);
                volume.content = content;
            }
        }
        Ok(volume)
    }
}
