//! The flags that describe an installation.

use std::collections::BTreeSet;

use anyhow::bail;
use clap::value_parser;

use super::namespace;
use crate::manifests::installation::{DEFAULT_IMAGE, DEFAULT_NAMESPACE, Installation};
use crate::manifests::{Mode, RulePermissions};

/// The parts of an installation.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub(in crate::commands) struct InstallationArgs {
    /// Namespace to install into
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE, value_parser = namespace)]
    namespace: String,

    /// Image
    #[arg(long, value_name = "REFERENCE", default_value = DEFAULT_IMAGE, value_parser = image)]
    image: String,

    /// Number of pods of each Deployment
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = value_parser!(u32).range(..=100))]
    replicas: u32,

    /// Modes, separated by commas; analyze is only an account, for example for CI
    #[arg(long, value_enum, value_name = "MODES", value_delimiter = ',', default_values_t = [Mode::Watch, Mode::Enforce, Mode::Native])]
    modes: Vec<Mode>,

    /// Namespace that `watch` may observe (repeatable), by Roles alone [default: all namespaces]
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    watch_namespace: Vec<String>,

    /// Namespace that `reconcile` may work in (repeatable), by Roles alone and without native admission [default: all
    /// namespaces]
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    reconcile_namespace: Vec<String>,

    /// Rules for which `reconcile` may read other objects than pods and workloads, as policies turn them on
    #[arg(long, value_enum, value_name = "RULES", default_value_t)]
    rules_permissions: RulePermissions,

    /// Leave the CRDs out
    #[arg(long)]
    no_crds: bool,

    /// Leave out the admission policy that restricts the operator's account to what enforcement does
    #[arg(long)]
    no_self_fence: bool,

    /// With mode webhook: refuse objects while no replica of it answers
    #[arg(long)]
    fail_closed: bool,

    /// Add a `NetworkPolicy` for each Deployment
    #[arg(long)]
    network_policies: bool,
}

fn image(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.contains(|c: char| !c.is_ascii_graphic()) {
        return Err("not a reference to an image: give one such as registry.example/kube-devops:0.1.0");
    }
    Ok(text.to_owned())
}

/// Returns each name once, in the given order.
fn once(names: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.iter().filter(|name| seen.insert(*name)).cloned().collect()
}

impl InstallationArgs {
    /// Returns the installation, with further system namespaces. An error if it would fail closed with one replica.
    pub(in crate::commands) fn installation(
        &self,
        system_namespaces: Vec<String>,
    ) -> anyhow::Result<Installation> {
        if self.fail_closed && self.modes.contains(&Mode::Webhook) && self.replicas < 2 {
            bail!("--fail-closed needs two replicas of the webhook: give --replicas 2 or more");
        }
        Ok(Installation {
            namespace: self.namespace.clone(),
            image: self.image.clone(),
            replicas: self.replicas,
            modes: self.modes.clone(),
            namespaces: once(&self.watch_namespace),
            reconcile_namespaces: once(&self.reconcile_namespace),
            rule_permissions: self.rules_permissions,
            system_namespaces,
            crds: !self.no_crds,
            self_fence: !self.no_self_fence,
            fail_closed: self.fail_closed,
            network_policies: self.network_policies,
        })
    }
}
