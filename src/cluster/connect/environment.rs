//! The environment variables and the home directory that a connection depends on, read once.

use std::ffi::OsString;
use std::path::PathBuf;

/// The environment of a connection. Empty variables count as unset.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    /// `$KUBECONFIG`: a list of files.
    pub(super) kubeconfig: Option<OsString>,
    /// The home directory.
    pub(super) home: Option<PathBuf>,
    /// The proxy for `https` servers.
    pub(super) https_proxy: Option<String>,
    /// The proxy for `http` servers.
    pub(super) http_proxy: Option<String>,
    /// The hosts that are reached without a proxy.
    pub(super) no_proxy: Option<String>,
    /// The host and the port of the API server, inside a pod.
    pub(super) service: Option<(String, String)>,
    /// The namespace of the pod, if its template sets `POD_NAMESPACE`.
    pub(super) pod_namespace: Option<String>,
}

impl Environment {
    /// Reads the environment of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "these are the variables of Kubernetes and of Go's HTTP client; they are no settings of ours"
    )]
    pub(super) fn read() -> Self {
        let text = |names: &[&str]| {
            names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        };
        Self {
            kubeconfig: std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()),
            home: std::env::home_dir().filter(|path| !path.as_os_str().is_empty()),
            https_proxy: text(&["HTTPS_PROXY", "https_proxy"]),
            http_proxy: text(&["HTTP_PROXY", "http_proxy"]),
            no_proxy: text(&["NO_PROXY", "no_proxy"]),
            service: text(&["KUBERNETES_SERVICE_HOST"]).zip(text(&["KUBERNETES_SERVICE_PORT"])),
            pod_namespace: text(&["POD_NAMESPACE"]),
        }
    }
}
