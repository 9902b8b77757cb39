//! The flags of kubectl that choose one cluster. They are refused here, with the flag to use instead.

use std::convert::Infallible;

/// Flags that no command on many clusters takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RefusedArgs {
    #[arg(long, hide = true, value_name = "NAME", value_parser = choose)]
    context: Option<Infallible>,

    #[arg(long, hide = true, value_name = "NAME", value_parser = choose)]
    cluster: Option<Infallible>,

    #[arg(long, hide = true, value_name = "NAME", value_parser = choose)]
    user: Option<Infallible>,

    #[arg(short, long, hide = true, value_name = "URL", value_parser = choose)]
    server: Option<Infallible>,
}

/// Refuses a value.
fn choose(_: &str) -> Result<Infallible, &'static str> {
    Err("each context names its own server, cluster and user: choose contexts by --contexts")
}
