//! A side of `policy diff`: a path, a bundle or a cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use kube::core::Selector;

use crate::cluster::{self, ConnectOptions};
use crate::commands::args::{ConnectArgs, bundle, bundle_at};
use crate::policies::documents;
use crate::policy::{Bundle, PolicyDocument, PolicySide, SystemNamespaces};
use crate::terminal::note;

/// A side, and its source.
pub(super) struct SideRead {
    pub(super) side: PolicySide,
    pub(super) is_file: bool,
    pub(super) is_cluster: bool,
}

/// Reads a side: the policies of files or of a cluster, in one namespace or in all, or a bundle, built in or in a file.
pub(super) async fn side(
    text: &str,
    namespace: Option<&str>,
    recursive: bool,
    connect: &ConnectArgs,
) -> anyhow::Result<SideRead> {
    let name = text.to_owned();
    if let Some(bundle_name) = text.strip_prefix("bundle:") {
        return Ok(side_of_bundle(name, &bundle(bundle_name)?));
    }
    let context = text.strip_prefix("cluster:");
    if text == "cluster" || context.is_some() {
        let mut options = connect.options();
        if let Some(context) = context {
            options.overrides.context = Some(context.to_owned());
        }
        let cluster = cluster::connect(&options).await.with_context(|| name.clone())?;
        let policies = documents(&cluster, namespace).await;
        let policies = policies.with_context(|| format!("{name}: cannot list the policies"))?;
        let side = PolicySide { name, policies, is_template: false, is_bundle: false };
        return Ok(SideRead { side, is_file: false, is_cluster: true });
    }
    let (mut policies, notes) = super::files::read_quietly(&[PathBuf::from(text)], recursive)?;
    let path = Path::new(text);
    // Only what can be read twice is also looked at as a bundle.
    if policies.is_empty()
        && path.exists()
        && let Some(bundle) = bundle_at(path)?
    {
        return Ok(side_of_bundle(name, &bundle));
    }
    notes.iter().try_for_each(note)?;
    if let Some(namespace) = namespace {
        for policy in policies.iter_mut().filter(|policy| !policy.is_cluster) {
            policy.namespace.get_or_insert_with(|| namespace.to_owned());
        }
        policies.retain(|policy| policy.namespace.as_deref() == Some(namespace));
    }
    let side = PolicySide { name, policies, is_template: false, is_bundle: false };
    Ok(SideRead { side, is_file: true, is_cluster: false })
}

fn side_of_bundle(name: String, bundle: &Bundle) -> SideRead {
    let policy = PolicyDocument::from_object(&bundle.manifest(&bundle.name, None, None));
    let side = PolicySide { name, policies: vec![policy], is_template: true, is_bundle: true };
    SideRead { side, is_file: false, is_cluster: false }
}

/// Puts a policy for each namespace that it selects in the place of a cluster policy, as the cluster of the flags has them.
pub(super) async fn resolve(
    side: PolicySide,
    is_of_files: bool,
    options: &ConnectOptions,
) -> anyhow::Result<PolicySide> {
    let (whole, mut policies): (Vec<_>, Vec<_>) =
        side.policies.into_iter().partition(|policy| policy.is_cluster);
    let system = SystemNamespaces::default();
    for policy in whole {
        if is_of_files {
            bail!(
                "policy {} selects namespaces by labels that only a cluster knows: leave -f out, or evaluate it by \
                 `analyze --policy`",
                policy.shown_name()
            );
        }
        let cluster = cluster::connect(options).await?;
        let selector = Selector::try_from(policy.namespace_selector().unwrap_or_default())?.to_string();
        let selector = Some(selector.as_str()).filter(|selector| !selector.is_empty());
        let namespaces = cluster.namespace_names(selector).await;
        let namespaces = namespaces.context("cannot list the namespaces that a cluster policy selects")?;
        let within = |namespace| PolicyDocument {
            is_cluster: false,
            name: policy.local_name(),
            namespace: Some(namespace),
            ..policy.clone()
        };
        policies.extend(namespaces.into_iter().filter(|name| !system.contains(name)).map(within));
    }
    Ok(PolicySide { policies, ..side })
}
