//! The content of `ConfigMap`s, and the names of what Secrets hold.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::workload::nullable;

/// A `ConfigMap`. Its values are seen while it is evaluated, and never kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct ConfigMap {
    #[serde(default, deserialize_with = "nullable")]
    pub data: BTreeMap<String, Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    binary_data: BTreeMap<String, Option<String>>,
}

/// The keys of a `ConfigMap` or Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(pub BTreeSet<String>);

impl ConfigMap {
    pub(super) fn into_keys(self) -> Keys {
        Keys(self.data.into_keys().chain(self.binary_data.into_keys()).collect())
    }
}

/// A Secret, without its values.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secret {
    #[serde(default, deserialize_with = "keys")]
    data: BTreeSet<String>,
    #[serde(default, deserialize_with = "keys")]
    string_data: BTreeSet<String>,
}

impl Secret {
    pub(super) fn into_keys(self) -> Keys {
        Keys(self.data.into_iter().chain(self.string_data).collect())
    }
}

/// Reads the keys of a map, and skips its values.
fn keys<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    let map = Option::<BTreeMap<String, Option<IgnoredAny>>>::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_keys().collect())
}

/// A custom resource whose controller makes a Secret.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretSource {
    /// The name of the Secret that a `Certificate` makes.
    secret_name: Option<String>,
    /// The Secret that an `ExternalSecret` makes.
    target: Option<Target>,
    /// The template of the Secret that a `SealedSecret` makes.
    template: Option<Template>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Template {
    metadata: Option<Target>,
}

impl SecretSource {
    /// Returns the name of the Secret; by default it is that of the custom resource.
    pub(super) fn secret(self, own: &str) -> String {
        let target = self.target.and_then(|target| target.name);
        let template = self.template.and_then(|template| template.metadata?.name);
        self.secret_name.or(target).or(template).unwrap_or_else(|| own.to_owned())
    }
}
