//! Flags that commands share.

use crate::cluster::{ConnectOptions, Overrides, is_namespace_name};
use crate::enforcement::Limits;
use crate::governance::{Scope, parse_selector};
use crate::policy::SystemNamespaces;
use anyhow::Context as _;
use jiff::SignedDuration;
use std::path::PathBuf;
use std::time::Duration;

/// Which cluster to talk to, as with kubectl.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ConnectArgs {
    /// The kubeconfig file [default: $KUBECONFIG, else ~/.kube/config, else the pod's own account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// The cluster of the kubeconfig [default: the context's]
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// The user of the kubeconfig [default: the context's]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// The address of the API server [default: the cluster's]
    #[arg(short, long, value_name = "URL")]
    server: Option<String>,

    /// The name to check the server's certificate for [default: the host of its address]
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,

    /// The file with the CA certificates of the API server [default: the cluster's, else the system's]
    #[arg(long, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,

    /// Do not check the server's certificate
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
    insecure_skip_tls_verify: bool,

    /// The bearer token [default: the user's]
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,

    /// The file with the client certificate [default: the user's]
    #[arg(long, value_name = "FILE")]
    client_certificate: Option<PathBuf>,

    /// The file with the key of the client certificate [default: the user's]
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,

    /// The user to impersonate
    #[arg(id = "as", long = "as", value_name = "USER")]
    impersonate: Option<String>,

    /// The group to impersonate (repeatable)
    #[arg(id = "as-group", long = "as-group", value_name = "GROUP")]
    impersonate_groups: Vec<String>,

    /// The UID to impersonate
    #[arg(id = "as-uid", long = "as-uid", value_name = "UID")]
    impersonate_uid: Option<String>,

    /// How long one request may take, such as 5, 30s or 1m; 0 for no limit
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = timeout)]
    request_timeout: RequestTimeout,
}

/// Which pods a command is about.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ScopeArgs {
    /// Only this namespace, system namespace or not (repeatable); what names none in a file is taken to be in the only one
    #[arg(short, long, value_name = "NAME", value_parser = namespace)]
    namespace: Vec<String>,

    /// All namespaces, which is the default
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Only pods with these labels, such as app=web,tier!=cache
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,

    /// System namespaces (kube-*, *-system, monitoring, ...) too
    #[arg(long)]
    include_system: bool,

    /// Count this namespace as a system namespace too (repeatable)
    #[arg(long, value_name = "NAME")]
    system_namespace: Vec<String>,
}

impl ScopeArgs {
    /// Returns the scope that the flags ask for.
    pub(super) fn scope(&self) -> anyhow::Result<Scope> {
        let selector = self.selector.as_deref().map(parse_selector).transpose();
        Ok(Scope {
            namespaces: if self.all_namespaces { Vec::new() } else { self.namespace.clone() },
            include_system: self.include_system,
            system: SystemNamespaces::with(self.system_namespace.clone()),
            selector: selector.context("--selector")?,
        })
    }

    /// Returns the label selector as it was given, for the API server; none where it selects everything.
    pub(super) fn selector(&self) -> Option<String> {
        self.selector.clone().filter(|selector| !selector.trim().is_empty())
    }
}

/// Why a name can't be one; it would lead elsewhere in the path of a request, or nowhere.
#[derive(Debug, thiserror::Error)]
#[error("that is no name for a {0}: give lower-case letters, digits and hyphens")]
pub(super) struct NameError(&'static str);

/// Reads the name of a namespace.
pub(super) fn namespace(text: &str) -> Result<String, NameError> {
    if is_namespace_name(text) { Ok(text.to_owned()) } else { Err(NameError("namespace")) }
}

/// Reads the name of a Lease, in which dots may stand too.
pub(super) fn lease_name(text: &str) -> Result<String, NameError> {
    if text.split('.').all(is_namespace_name) { Ok(text.to_owned()) } else { Err(NameError("Lease")) }
}

/// A time limit for one request; `None` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestTimeout(Option<Duration>);

/// Why a time limit can't be read.
#[derive(Debug, thiserror::Error)]
#[error("not a time: give seconds, or a number with a unit such as 500ms, 30s or 1m; 0 for no limit")]
pub(super) struct TimeoutError;

impl ConnectArgs {
    /// Returns how a command connects; a watch adds how long it may hear nothing.
    pub(super) fn options(&self) -> ConnectOptions {
        ConnectOptions {
            kubeconfig: self.kubeconfig.clone(),
            overrides: Overrides {
                context: self.context.clone(),
                cluster: self.cluster.clone(),
                user: self.user.clone(),
                server: self.server.clone(),
                tls_server_name: self.tls_server_name.clone(),
                certificate_authority: self.certificate_authority.clone(),
                insecure_skip_tls_verify: self.insecure_skip_tls_verify,
                token: self.token.clone(),
                client_certificate: self.client_certificate.clone(),
                client_key: self.client_key.clone(),
                impersonate: self.impersonate.clone(),
                impersonate_uid: self.impersonate_uid.clone(),
                impersonate_groups: self.impersonate_groups.clone(),
            },
            request_timeout: self.request_timeout.0,
            ..ConnectOptions::default()
        }
    }
}

/// Reads kubectl's forms of a time limit: plain seconds, or a duration.
fn timeout(text: &str) -> Result<RequestTimeout, TimeoutError> {
    let limit = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let signed = text.parse::<SignedDuration>().map_err(|_| TimeoutError)?;
        Duration::try_from(signed).map_err(|_| TimeoutError)?
    };
    Ok(RequestTimeout((!limit.is_zero()).then_some(limit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_timeouts_are_read_as_kubectl_does() {
        for (text, seconds) in [("30", 30), ("30s", 30), ("1m", 60), ("1m30s", 90), ("1h", 3600)] {
            assert_eq!(timeout(text).unwrap(), RequestTimeout(Some(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["0", "0s", "0m"] {
            assert_eq!(timeout(text).unwrap(), RequestTimeout(None), "{text}");
        }
        for text in ["", "-1", "-5s", "soon", "30x", "1.5"] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }
}

/// How much enforcement may do in the whole cluster.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct BudgetArgs {
    /// How many workloads may be rolling out a patch at a time, in the whole cluster; with 0 none is patched
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    max_rollouts: u32,

    /// How many workloads may be patched in an hour, in the whole cluster; with 0 none is patched
    #[arg(long, value_name = "COUNT", default_value_t = 60)]
    max_per_hour: u32,
}

impl BudgetArgs {
    /// The budgets that are asked for.
    pub(super) fn limits(self) -> Limits {
        Limits { rollouts: self.max_rollouts, per_hour: self.max_per_hour }
    }
}
