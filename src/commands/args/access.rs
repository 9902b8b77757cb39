//! The flags of a connection that fit every cluster: they choose none.

use jiff::SignedDuration;

use super::boolean::boolean;
use super::duration;
use super::login::LoginArgs;
use super::tls::TlsArgs;
use crate::cluster::{ConnectOptions, Overrides};

/// Access to a cluster, as with kubectl.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(in crate::commands) struct AccessArgs {
    #[command(flatten)]
    tls: TlsArgs,

    #[command(flatten)]
    login: LoginArgs,

    /// Do not ask for compressed responses
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
    disable_compression: bool,

    /// Time limit of one request, such as 5, 30s or 1m; 0 for no limit
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    request_timeout: SignedDuration,
}

impl AccessArgs {
    /// Returns the options of a connection to the current cluster.
    pub(in crate::commands) fn options(&self) -> ConnectOptions {
        let limit = self.request_timeout;
        ConnectOptions {
            overrides: self.tls.add_to(
                self.login.add_to(Overrides {
                    disable_compression: self.disable_compression,
                    ..Overrides::default()
                }),
            ),
            request_timeout: (!limit.is_zero()).then_some(limit.unsigned_abs()),
            ..ConnectOptions::default()
        }
    }
}
