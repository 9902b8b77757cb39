//! The flags for the log of a long-running command.

use tracing::level_filters::LevelFilter;

use crate::telemetry::{LogFormat, logging};

/// The log of a long-running command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Logs")]
pub(in crate::commands) struct LogArgs {
    /// Format of the log on stderr [default: text on a terminal, else json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,

    /// Log level: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LevelFilter,

    /// Log filter in place of the level, such as `info,kube_devops=debug`
    #[arg(long = "log-filter", env = "RUST_LOG", value_name = "DIRECTIVES")]
    directives: Option<String>,
}

impl LogArgs {
    /// Returns the format of log lines.
    pub(in crate::commands) fn format(&self) -> LogFormat {
        self.log_format.unwrap_or_default()
    }

    /// Starts logging; `verbosity` is the level that `-v` asks for, if it was given.
    pub(in crate::commands) fn start(&self, verbosity: Option<LevelFilter>) -> anyhow::Result<()> {
        let level = verbosity.map_or(self.log_level, |level| level.max(self.log_level));
        Ok(logging::start(self.format(), level, self.directives.as_deref())?)
    }
}
