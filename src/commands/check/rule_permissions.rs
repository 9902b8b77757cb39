//! The permissions that rules need on a cluster.

use anyhow::Context as _;

use crate::manifests::Permission;
use crate::policy::EffectivePolicy;
use crate::workload::{Kind, Resource};

/// Returns the permissions to list what rules read beside pods.
pub(super) fn of_rules(rules: &str) -> anyhow::Result<Vec<Permission>> {
    let reads = EffectivePolicy::select(rules).context("--rules")?.reads();
    let resources = reads.iter().filter(|kind| *kind != Kind::Pod).flat_map(Kind::resources);
    let permission = |one: &Resource| Permission::of_rules(one.group, one.plural, one.is_namespaced);
    Ok(resources.map(permission).collect())
}
