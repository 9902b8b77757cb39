//! Lists the contexts of kubeconfig files, without a connection.

use std::path::Path;

use super::environment::Environment;
use super::error::ConnectError;
use super::load::Loaded;

/// A context of a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeContext {
    /// Its name.
    pub name: String,
    /// The name of its cluster.
    pub cluster: String,
    /// True for the current context.
    pub is_current: bool,
}

/// Returns the contexts of a kubeconfig file, else of `$KUBECONFIG`, else of `~/.kube/config`, sorted by name.
pub fn contexts(kubeconfig: Option<&Path>) -> Result<Vec<KubeContext>, ConnectError> {
    let Loaded { kubeconfig, .. } = Loaded::read(kubeconfig, &Environment::read())?;
    let current = kubeconfig.current_context;
    let contexts = kubeconfig.contexts.into_iter();
    Ok(contexts
        .map(|(name, context)| KubeContext { is_current: name == current, cluster: context.cluster, name })
        .collect())
}
