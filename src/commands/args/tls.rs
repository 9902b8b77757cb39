//! The flags that say how the certificate of the API server is checked.

use std::path::PathBuf;

use super::boolean::boolean;
use super::login::path;
use crate::cluster::Overrides;

/// The check of the server's certificate.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct TlsArgs {
    /// Name to check the server's certificate for [default: the host of its address]
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,

    /// File with the CA certificates of the API server [default: the cluster's, else the system's]
    #[arg(long, value_name = "FILE", value_parser = path())]
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
        value_parser = boolean
    )]
    insecure_skip_tls_verify: bool,
}

impl TlsArgs {
    /// Adds the flags to the overrides of a kubeconfig.
    pub(super) fn add_to(&self, overrides: Overrides) -> Overrides {
        Overrides {
            tls_server_name: self.tls_server_name.clone(),
            certificate_authority: self.certificate_authority.clone(),
            insecure_skip_tls_verify: self.insecure_skip_tls_verify,
            ..overrides
        }
    }
}
