//! The environment variables that name proxies.

/// The proxy variables of an environment. Empty variables count as unset.
#[derive(Clone, Debug, Default)]
pub struct ProxyVariables {
    /// `HTTPS_PROXY`: the proxy for `https` servers.
    pub https: Option<String>,
    /// `HTTP_PROXY`: the proxy for `http` servers.
    pub http: Option<String>,
    /// `NO_PROXY`: the hosts that are reached without a proxy.
    pub exceptions: Option<String>,
}

/// A proxy variable that names no proxy.
#[derive(Debug, thiserror::Error)]
#[error("${variable}: {problem}")]
pub struct VariableError {
    /// The name of the variable.
    pub variable: &'static str,
    /// The problem and the fix.
    pub problem: String,
}

impl ProxyVariables {
    /// Reads the environment of this process. As in Go, upper case comes before lower case.
    #[expect(
        clippy::disallowed_methods,
        reason = "these are the variables of Go's HTTP client, no settings of ours"
    )]
    pub fn read() -> Self {
        let text = |names: &[&str]| {
            names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        };
        Self {
            https: text(&["HTTPS_PROXY", "https_proxy"]),
            http: text(&["HTTP_PROXY", "http_proxy"]),
            exceptions: text(&["NO_PROXY", "no_proxy"]),
        }
    }
}
