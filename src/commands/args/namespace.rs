//! The flags that choose namespaces.

use crate::cluster::{Cluster, is_namespace_name};
use crate::policy::SystemNamespaces;

/// One namespace.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::commands) struct NamespaceArgs {
    /// Namespace [default: that of the context]
    #[arg(short, long, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,
}

impl NamespaceArgs {
    /// Returns the namespace: the given one, else that of the context.
    pub(in crate::commands) fn or_default<'a>(&'a self, cluster: &'a Cluster) -> &'a str {
        self.namespace.as_deref().unwrap_or(&cluster.default_namespace)
    }

    /// Returns the namespace if one was given.
    pub(in crate::commands) fn given(&self) -> Option<&str> {
        self.namespace.as_deref()
    }
}

/// Any number of namespaces.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::commands) struct NamespacesArgs {
    /// Only this namespace (repeatable) [default: all namespaces]
    #[arg(short, long = "namespace", value_name = "NAME", value_parser = namespace)]
    namespaces: Vec<String>,

    /// All namespaces, even with -n (default)
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

impl NamespacesArgs {
    /// Returns the namespaces; empty for all of them.
    pub(in crate::commands) fn names(&self) -> Vec<String> {
        if self.all_namespaces { Vec::new() } else { self.namespaces.clone() }
    }
}

/// Further system namespaces.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::commands) struct SystemNamespaceArgs {
    /// Treat this namespace as a system namespace too (repeatable)
    #[arg(long, value_name = "NAME")]
    system_namespace: Vec<String>,
}

impl SystemNamespaceArgs {
    /// Returns the given names.
    pub(in crate::commands) fn names(&self) -> Vec<String> {
        self.system_namespace.clone()
    }

    /// Returns the built-in system namespaces, the given ones and `more`.
    pub(in crate::commands) fn with(&self, more: impl IntoIterator<Item = String>) -> SystemNamespaces {
        SystemNamespaces::with(self.system_namespace.iter().cloned().chain(more).collect())
    }
}

/// A name that the API server would refuse. It could change the path of a request.
#[derive(Debug, thiserror::Error)]
#[error("not a name of a {0}: use lower-case letters, digits and hyphens")]
pub(in crate::commands) struct NameError(&'static str);

/// Parses the name of a namespace.
pub(in crate::commands) fn namespace(text: &str) -> Result<String, NameError> {
    if is_namespace_name(text) { Ok(text.to_owned()) } else { Err(NameError("namespace")) }
}

/// Parses the name of a Lease, which may contain dots.
pub(super) fn lease_name(text: &str) -> Result<String, NameError> {
    if text.split('.').all(is_namespace_name) { Ok(text.to_owned()) } else { Err(NameError("Lease")) }
}
