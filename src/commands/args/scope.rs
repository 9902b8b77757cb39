//! The flags that choose pods.

use anyhow::Context as _;

use super::{NamespacesArgs, SystemNamespaceArgs};
use crate::governance::{Scope, parse_selector};

/// Selection of pods.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::commands) struct ScopeArgs {
    #[command(flatten)]
    namespaces: NamespacesArgs,

    /// Only pods with these labels, such as app=web,tier!=cache
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,

    /// Include system namespaces (kube-*, *-system, monitoring, ...); -n includes the one it names
    #[arg(long)]
    include_system: bool,

    #[command(flatten)]
    system: SystemNamespaceArgs,
}

impl ScopeArgs {
    /// Returns the scope.
    pub(in crate::commands) fn scope(&self) -> anyhow::Result<Scope> {
        let selector = self.selector.as_deref().map(parse_selector).transpose();
        Ok(Scope {
            namespaces: self.namespaces.names(),
            include_system: self.include_system,
            system: self.system.with([]),
            selector: selector.context("--selector")?,
        })
    }

    /// Returns the label selector for the API server; `None` where it selects everything.
    pub(in crate::commands) fn selector(&self) -> Option<String> {
        self.selector.clone().filter(|selector| !selector.trim().is_empty())
    }
}
