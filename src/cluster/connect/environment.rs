//! The environment variables and the home directory that a connection depends on, read once.

use crate::proxy::ProxyVariables;
use std::ffi::OsString;
use std::path::PathBuf;

/// The environment of a connection. Empty variables count as unset.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    /// `$KUBECONFIG`: a list of files.
    pub(super) kubeconfig: Option<OsString>,
    /// The home directory.
    pub(super) home: Option<PathBuf>,
    /// The proxies.
    pub(super) proxies: ProxyVariables,
    /// The host and the port of the API server, inside a pod.
    pub(super) service: Option<(String, String)>,
    /// The namespace of the pod, if its template sets `POD_NAMESPACE`.
    pub(super) pod_namespace: Option<String>,
}

impl Environment {
    /// Reads the environment of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "these are the variables of Kubernetes; they are no settings of ours"
    )]
    pub(super) fn read() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            kubeconfig: std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()),
            home: std::env::home_dir().filter(|path| !path.as_os_str().is_empty()),
            proxies: ProxyVariables::read(),
            service: text("KUBERNETES_SERVICE_HOST").zip(text("KUBERNETES_SERVICE_PORT")),
            pod_namespace: text("POD_NAMESPACE"),
        }
    }
}
