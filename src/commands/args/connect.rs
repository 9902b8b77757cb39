//! The flags that choose a cluster.

use std::path::PathBuf;

use jiff::SignedDuration;

use super::duration;
use crate::cluster::{ConnectOptions, Overrides};

/// Connection to the cluster, as with kubectl.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(in crate::commands) struct ConnectArgs {
    /// Kubeconfig file [default: $KUBECONFIG, else ~/.kube/config, else the pod's service account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig [default: the current context]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Cluster of the kubeconfig [default: the context's]
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// User of the kubeconfig [default: the context's]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Address of the API server [default: the cluster's]
    #[arg(short, long, value_name = "URL")]
    server: Option<String>,

    /// Name to check the server's certificate for [default: the host of its address]
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,

    /// File with the CA certificates of the API server [default: the cluster's, else the system's]
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

    /// Bearer token [default: the user's]
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,

    /// File with the client certificate [default: the user's]
    #[arg(long, value_name = "FILE")]
    client_certificate: Option<PathBuf>,

    /// File with the key of the client certificate [default: the user's]
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,

    /// User to impersonate
    #[arg(id = "as", long = "as", value_name = "USER")]
    impersonate: Option<String>,

    /// Group to impersonate (repeatable)
    #[arg(id = "as-group", long = "as-group", value_name = "GROUP")]
    impersonate_groups: Vec<String>,

    /// UID to impersonate
    #[arg(id = "as-uid", long = "as-uid", value_name = "UID")]
    impersonate_uid: Option<String>,

    /// Time limit of one request, such as 5, 30s or 1m; 0 for no limit
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    request_timeout: SignedDuration,
}

impl ConnectArgs {
    /// Returns the options of a connection for a one-shot command.
    pub(in crate::commands) fn options(&self) -> ConnectOptions {
        let limit = self.request_timeout;
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
            request_timeout: (!limit.is_zero()).then_some(limit.unsigned_abs()),
            ..ConnectOptions::default()
        }
    }
}
