//! The keys of `ConfigMap`s and Secrets. No value is kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::secrets::is_plaintext_secret;
use crate::workload::nullable;

/// A `ConfigMap` while it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigMap {
    #[serde(default, deserialize_with = "nullable")]
    data: BTreeMap<String, Option<String>>,
    #[serde(default, deserialize_with = "keys")]
    binary_data: BTreeSet<String>,
}

/// The keys of a `ConfigMap` or Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// Every key.
    pub all: BTreeSet<String>,
    /// The keys of a `ConfigMap` with a secret in plain text.
    pub with_secret: Vec<String>,
}

impl ConfigMap {
    pub(super) fn into_keys(self) -> Keys {
        let is_secret = |(key, value): &(&String, &Option<String>)| {
            is_plaintext_secret(key, value.as_deref().unwrap_or_default())
        };
        let with_secret = self.data.iter().filter(is_secret).map(|(key, _)| key.clone()).collect();
        Keys { with_secret, all: self.data.into_keys().chain(self.binary_data).collect() }
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
        Keys { all: self.data.into_iter().chain(self.string_data).collect(), with_secret: Vec::new() }
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
