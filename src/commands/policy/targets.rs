//! The flags that choose the namespaces in which `policy bundle-apply` makes policies.

use anyhow::{Context as _, bail};

use crate::cluster::Cluster;
use crate::commands::args::{SystemNamespaceArgs, namespace};
use crate::terminal::note;

/// Namespaces by name, by labels, or all.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("where").required(true).args(["namespaces", "selector", "all_namespaces"])))]
pub(super) struct TargetArgs {
    /// Namespace (repeatable)
    #[arg(short, long = "namespace", value_name = "NAME", value_parser = namespace)]
    namespaces: Vec<String>,

    /// Namespaces with these labels, such as team=shop,stage!=test
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,

    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    #[command(flatten)]
    system: SystemNamespaceArgs,
}

impl TargetArgs {
    /// Returns the chosen namespaces without those of the system, which it notes.
    pub(super) async fn namespaces(&self, cluster: &Cluster) -> anyhow::Result<Vec<String>> {
        let mut names = if self.namespaces.is_empty() {
            let found = cluster.namespace_names(self.selector.as_deref()).await;
            found.context("cannot list the namespaces; name them with -n if you may not list them")?
        } else {
            self.namespaces.clone()
        };
        names.sort();
        names.dedup();
        let system = self.system.with([]);
        let (skipped, names): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| system.contains(name));
        if !skipped.is_empty() {
            note(format_args!("skipped the system namespaces {}", skipped.join(", ")))?;
        }
        if names.is_empty() {
            match &self.selector {
                Some(selector) => bail!("no namespace has the labels {selector}, system namespaces apart"),
                None => bail!("there is no namespace to apply the policy in, system namespaces apart"),
            }
        }
        Ok(names)
    }
}
