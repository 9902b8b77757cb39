//! The flags that choose a cluster.

use std::path::PathBuf;

use super::access::AccessArgs;
use super::login::path;
use crate::cluster::{ConnectOptions, Overrides};

/// Connection to the cluster, as with kubectl.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(in crate::commands) struct ConnectArgs {
    /// Kubeconfig file [default: $KUBECONFIG, else ~/.kube/config, else the pod's service account]
    #[arg(long, value_name = "FILE", value_parser = path())]
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

    #[command(flatten)]
    access: AccessArgs,
}

impl ConnectArgs {
    /// The ids of all of these flags.
    pub(in crate::commands) const FLAGS: [&str; 18] = [
        "kubeconfig",
        "context",
        "cluster",
        "user",
        "server",
        "tls_server_name",
        "certificate_authority",
        "insecure_skip_tls_verify",
        "token",
        "username",
        "password",
        "client_certificate",
        "client_key",
        "as",
        "as-group",
        "as-uid",
        "disable_compression",
        "request_timeout",
    ];

    /// Returns the options of a connection for a one-shot command.
    pub(in crate::commands) fn options(&self) -> ConnectOptions {
        let access = self.access.options();
        ConnectOptions {
            kubeconfig: self.kubeconfig.clone().filter(|path| !path.as_os_str().is_empty()),
            overrides: Overrides {
                context: self.context.clone(),
                cluster: self.cluster.clone(),
                user: self.user.clone(),
                server: self.server.clone(),
                ..access.overrides
            },
            ..access
        }
    }
}
