//! The flags that read the clusters of a hub's `ClusterProfiles`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::known::Known;
use crate::cluster::{self, AccessProviders, ConnectOptions, KubeContext, Overrides};
use crate::commands::args::namespace;
use crate::fleet::Member;

/// The clusters of a hub.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ProfileArgs {
    /// The clusters of the ClusterProfiles (multicluster.x-k8s.io) of a hub, in place of contexts
    #[arg(long, requires = "clusterprofile_provider_file")]
    cluster_profiles: bool,

    /// File of the commands that print credentials for the clusters of a hub, as SIG Multicluster defines it (JSON)
    #[arg(long, value_name = "FILE", requires = "cluster_profiles")]
    clusterprofile_provider_file: Option<PathBuf>,

    /// Namespace of the ClusterProfiles [default: all namespaces]
    #[arg(long, value_name = "NAME", value_parser = namespace, requires = "cluster_profiles")]
    clusterprofile_namespace: Option<String>,

    /// Context of the hub [default: the current context, else the cluster of this pod]
    #[arg(long, value_name = "NAME", requires = "cluster_profiles")]
    hub_context: Option<String>,
}

impl ProfileArgs {
    /// Returns true if the clusters of a hub are asked for.
    pub(super) fn is_chosen(&self) -> bool {
        self.cluster_profiles
    }

    /// Lists the profiles of the hub. `base` has the kubeconfig of the hub and the options of all connections.
    pub(super) async fn known(&self, base: &ConnectOptions) -> anyhow::Result<Vec<Known>> {
        let file = self.clusterprofile_provider_file.as_deref().unwrap_or_else(|| Path::new(""));
        let providers = AccessProviders::read(file).context("--clusterprofile-provider-file")?;
        let overrides = Overrides { context: self.hub_context.clone(), ..base.overrides.clone() };
        let hub = cluster::connect(&ConnectOptions { overrides, ..base.clone() }).await.context("the hub")?;
        let profiles = match hub.cluster_profiles(self.clusterprofile_namespace.as_deref()).await {
            Ok(profiles) => profiles,
            Err(error) if error.code() == Some(404) => bail!(
                "the hub {} has no ClusterProfiles (multicluster.x-k8s.io/v1alpha1): install their CRD, or choose \
                 another hub with --hub-context",
                hub.server
            ),
            Err(error) => return Err(error).context("cannot list the ClusterProfiles of the hub"),
        };
        if profiles.is_empty() {
            bail!("the hub {} publishes no cluster: it has no ClusterProfile", hub.server);
        }
        let known = profiles.into_iter().map(|profile| {
            let options = providers.access(&profile.name, &profile.status).map(|access| ConnectOptions {
                kubeconfig: None,
                profile: Some(Arc::new(access)),
                ..base.clone()
            });
            let context =
                KubeContext { name: profile.name.clone(), cluster: profile.display_name, is_current: false };
            Known { context, member: Member { name: profile.name, options } }
        });
        Ok(known.collect())
    }
}
