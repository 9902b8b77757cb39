//! The flags that choose pods.

use super::{NamespacesArgs, SelectorArgs, SystemNamespaceArgs};
use crate::governance::Scope;

/// Selection of pods.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::commands) struct ScopeArgs {
    #[command(flatten)]
    namespaces: NamespacesArgs,

    #[command(flatten)]
    selector: SelectorArgs,

    /// Include system namespaces (kube-*, *-system, monitoring, ...); -n includes the one it names
    #[arg(long)]
    include_system: bool,

    #[command(flatten)]
    system: SystemNamespaceArgs,
}

impl ScopeArgs {
    /// Returns the scope.
    pub(in crate::commands) fn scope(&self) -> anyhow::Result<Scope> {
        Ok(Scope {
            namespaces: self.namespaces.names(),
            include_system: self.include_system,
            system: self.system.with([]),
            selector: self.selector.parsed()?,
        })
    }

    /// Returns the flags that leave pods out, each as one text.
    pub(in crate::commands) fn filters(&self) -> Vec<String> {
        let namespaces = self.namespaces.names().into_iter().map(|name| format!("--namespace={name}"));
        namespaces.chain(self.selector().map(|labels| format!("--selector={labels}"))).collect()
    }

    /// Returns the label selector for the API server; `None` where it selects everything.
    pub(in crate::commands) fn selector(&self) -> Option<String> {
        self.selector.text()
    }
}
