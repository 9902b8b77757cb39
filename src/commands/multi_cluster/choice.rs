//! The flags that choose among the contexts of kubeconfig files.

use anyhow::bail;

use super::contexts::KubeconfigArgs;
use super::known::Known;

/// The choice of contexts.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ContextArgs {
    /// Contexts, with commas [default: the current context of each --kubeconfig; all ClusterProfiles of a hub]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "all")]
    contexts: Vec<String>,

    /// All contexts of the kubeconfig files
    #[arg(long)]
    all: bool,
}

impl ContextArgs {
    /// Returns the chosen contexts.
    pub(super) async fn chosen(&self, kubeconfig: &KubeconfigArgs) -> anyhow::Result<Vec<Known>> {
        let known = kubeconfig.known().await?;
        if self.all || (kubeconfig.has_hub() && self.contexts.is_empty()) {
            return Ok(known);
        }
        if self.contexts.is_empty() {
            if kubeconfig.kubeconfig.is_empty() {
                bail!("name the clusters: --contexts a,b, --all, or --kubeconfig for each");
            }
            let current: Vec<_> = known.into_iter().filter(|known| known.context.is_current).collect();
            if current.is_empty() {
                bail!("no kubeconfig file has a current context: name contexts by --contexts, or use --all");
            }
            return Ok(current);
        }
        let mut chosen = Vec::new();
        for name in &self.contexts {
            let found =
                known.iter().filter(|known| known.member.name == *name || known.context.name == *name);
            let before = chosen.len();
            chosen.extend(found.cloned());
            if chosen.len() == before {
                let names: Vec<_> = known.iter().map(|known| known.member.name.as_str()).collect();
                bail!("there is no context {name:?}; the contexts are {}", names.join(", "));
            }
        }
        Ok(chosen)
    }
}
