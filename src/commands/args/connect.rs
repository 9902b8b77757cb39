//! The flags that choose a cluster.

use std::path::PathBuf;

use jiff::SignedDuration;

use super::duration;
use crate::cluster::ConnectOptions;

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
            context: self.context.clone(),
            request_timeout: (!limit.is_zero()).then_some(limit.unsigned_abs()),
            ..ConnectOptions::default()
        }
    }
}
