//! The log level that `-v` asks for.

use tracing::level_filters::LevelFilter;

/// Returns the log level of a verbosity, by kubectl's numbers.
pub(super) fn level(verbosity: u8) -> LevelFilter {
    match verbosity {
        0 | 1 => LevelFilter::WARN,
        2 | 3 => LevelFilter::INFO,
        4 | 5 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}
