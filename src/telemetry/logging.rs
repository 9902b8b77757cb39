//! Log lines on stderr, as JSON for machines or as text for people. Stdout is for data and never touched.

use std::io::{self, IsTerminal as _};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;

/// Targets that are quieter than the requested level, unless the filter directives name them.
///
/// kube's client logs the whole body of a response that it cannot decode, Secrets included, so it may only report
/// errors. It logs the errors of a call that it returns as well, and the caller reports those. Its watcher's warnings
/// have the same fault.
const QUIET: &[&str] = &[
    "kube_client=error",
    "kube_client::client::builder=off",
    "kube_runtime=error",
    "hyper=warn",
    "hyper_util=warn",
    "tower=warn",
];

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text, in colour on a terminal unless `NO_COLOR` is set.
    Text,
}

impl Default for LogFormat {
    /// Returns text when stderr is a terminal, else JSON.
    fn default() -> Self {
        if io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// An error at the start of logging.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter directives can't be parsed.
    #[error("RUST_LOG {directives:?} is not a log filter: give directives such as info,kube_devops=debug")]
    BadDirectives {
        /// The given directives.
        directives: String,
        /// The parser's error.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process logs already.
    #[error("logging was started twice")]
    AlreadyStarted(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// Starts logging for the whole process, once. Filter directives (`RUST_LOG`) replace the level.
pub fn start(format: LogFormat, level: LevelFilter, directives: Option<&str>) -> Result<(), LoggingError> {
    let filter = filter(level, directives)?;
    tracing::subscriber::set_global_default(subscriber(
        format,
        filter,
        io::stderr().is_terminal(),
        io::stderr,
    ))
    .map_err(LoggingError::AlreadyStarted)
}

fn filter(level: LevelFilter, directives: Option<&str>) -> Result<Targets, LoggingError> {
    let directives = directives.filter(|directives| !directives.trim().is_empty());
    let asked = directives.map_or_else(|| level.to_string(), str::to_owned);
    // The requested directives come last, so they win over the quiet targets of the same name.
    let all = format!("{},{asked}", QUIET.join(","));
    all.parse().map_err(|source| LoggingError::BadDirectives { directives: asked, source })
}

fn subscriber<W>(
    format: LogFormat,
    filter: Targets,
    colour: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
        // Colours are on by default unless NO_COLOR is set, so this code only turns them off.
        LogFormat::Text if colour => lines.boxed(),
        LogFormat::Text => lines.with_ansi(false).boxed(),
    };
    Box::new(tracing_subscriber::registry().with(lines).with(filter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing::{debug, error, info, warn};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, directives: Option<&str>, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = filter(LevelFilter::INFO, directives).unwrap();
        let subscriber = subscriber(format, filter, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_is_one_object_a_line() {
        let lines = logged(LogFormat::Json, None, || info!(pods = 3, "synced\nall"));
        let line: serde_json::Value = serde_json::from_str(&lines).unwrap();
        assert_eq!(
            (&line["level"], &line["message"], &line["pods"]),
            (&"INFO".into(), &"synced\nall".into(), &3.into())
        );
        assert!(line["timestamp"].is_string() && line["target"].is_string());
    }

    #[test]
    fn text_has_no_colour_off_a_terminal() {
        let lines = logged(LogFormat::Text, None, || info!("synced"));
        assert!(lines.contains("synced") && !lines.contains('\u{1b}'), "{lines:?}");
    }

    #[test]
    fn bodies_that_the_client_logs_stay_out() {
        let log = || {
            warn!(target: "kube_client::client", "secret body");
            error!(target: "kube_client::client", "an error");
            info!(target: "hyper::proto", "chatter");
            debug!("detail");
            info!("ours");
        };
        let lines = logged(LogFormat::Text, None, log);
        assert!(lines.contains("an error") && lines.contains("ours"));
        assert!(!["secret body", "chatter", "detail"].iter().any(|text| lines.contains(text)), "{lines}");
    }

    #[test]
    fn directives_override_the_level_and_a_plain_level_keeps_the_client_quiet() {
        let log = || {
            warn!(target: "kube_client::client", "secret body");
            debug!("detail");
        };
        let lines = logged(LogFormat::Text, Some("debug"), log);
        assert!(lines.contains("detail") && !lines.contains("secret body"), "{lines}");
        let lines = logged(LogFormat::Text, Some("error,kube_client=warn"), log);
        assert!(!lines.contains("detail") && lines.contains("secret body"), "{lines}");
    }

    #[test]
    fn bad_directives_are_named() {
        let error = filter(LevelFilter::INFO, Some("kube=loud")).unwrap_err().to_string();
        assert!(error.contains("RUST_LOG \"kube=loud\""), "{error}");
    }
}
