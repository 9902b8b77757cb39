//! One call to the API server: its time limit, its retries and its error messages.

use super::Cluster;
use super::category::category;
use super::connect::{CredentialsError, ProxyError, explain};
use kube::core::Status;
use std::error::Error;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// The pauses before the retries of a call to an overloaded server.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The longest quotation of foreign text in a message. A proxy's error page is long.
const QUOTED: usize = 300;
/// The reason that kube gives an error whose body isn't a `Status`.
const NO_STATUS: &str = "Failed to parse error data";

/// A failed call: the reason and the fix.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There was no answer in time.
    #[error(
        "{server} didn't answer within {after:?}: check that it is up and can be reached from here, or allow more \
         time with --request-timeout"
    )]
    Timeout {
        /// The address of the API server.
        server: String,
        /// The time limit.
        after: Duration,
    },
    /// There is no connection, or it broke.
    #[error(
        "cannot reach {server}: {message}: check that it is up, or choose another cluster with --context"
    )]
    Unreachable {
        /// The address of the API server.
        server: String,
        /// The reason.
        message: String,
    },
    /// There is no connection through a proxy, or it broke.
    #[error("cannot reach {way}: {message}: check that both are up, or change the proxy")]
    UnreachableByProxy {
        /// The addresses of the API server and of the proxy.
        way: String,
        /// The reason.
        message: String,
    },
    /// The TLS handshake failed: one side doesn't trust the other.
    #[error("cannot connect to {server}: {message}")]
    Untrusted {
        /// The address of the API server.
        server: String,
        /// The reason and the fix.
        message: String,
    },
    /// There are no credentials, for example because an exec plugin failed.
    #[error("cannot get credentials for {server}: {message}")]
    Credentials {
        /// The address of the API server.
        server: String,
        /// The reason and the fix.
        message: String,
    },
    /// The API server refused the call or failed.
    #[error("{}", describe(.0))]
    Status(Box<Status>),
    /// The answer can't be parsed.
    #[error("{server} didn't answer like a Kubernetes API server: {message}: check the server's address")]
    Body {
        /// The address of the API server.
        server: String,
        /// The reason.
        message: String,
    },
}

impl CallError {
    /// Returns the HTTP status of an error response.
    pub fn code(&self) -> Option<u16> {
        self.status().map(|status| status.code)
    }

    /// Returns the `Status` of an error response.
    pub fn status(&self) -> Option<&Status> {
        if let Self::Status(status) = self { Some(status) } else { None }
    }

    /// Every label that [`CallError::category`] returns.
    pub const CATEGORIES: [&str; 8] =
        ["busy", "conflict", "expired", "forbidden", "invalid", "not_found", "refused", "unreachable"];

    /// Returns a bounded label for metrics.
    pub fn category(&self) -> &'static str {
        category(self.code())
    }

    /// Returns true if every other call would fail in the same way.
    pub fn is_general(&self) -> bool {
        match self {
            Self::Status(status) => status.code == 401,
            Self::Body { .. } => false,
            _ => true,
        }
    }

    /// Returns the pause that an overloaded server asks for; `None` for any other failure.
    pub(super) fn busy(&self) -> Option<Duration> {
        let Self::Status(status) = self else { return None };
        let asked = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
        matches!(status.code, 429 | 503 | 504).then(|| Duration::from_secs(asked.into()))
    }

    pub(super) fn new(server: &str, error: kube::Error) -> Self {
        let server = server.to_owned();
        match error {
            kube::Error::Api(status) => Self::Status(status),
            error @ (kube::Error::FromUtf8(_) | kube::Error::SerdeError(_)) => {
                Self::Body { server, message: root(&error) }
            }
            error => {
                if is_auth(&error) {
                    Self::Credentials { server, message: root(&error) }
                } else if let Some(message) = explain(&error) {
                    Self::Untrusted { server, message }
                } else if let Some(proxy) = proxy(&error) {
                    let way = format!("{server} through the proxy {proxy}");
                    Self::UnreachableByProxy { way, message: root(&error) }
                } else {
                    Self::Unreachable { server, message: root(&error) }
                }
            }
        }
    }
}

fn is_auth(error: &(dyn Error + 'static)) -> bool {
    error.is::<CredentialsError>() || error.source().is_some_and(is_auth)
}

/// Returns the proxy of the connection that failed.
fn proxy(error: &(dyn Error + 'static)) -> Option<String> {
    match error.downcast_ref::<ProxyError>() {
        Some(ProxyError { proxy, .. }) => Some(proxy.clone()),
        None => error.source().and_then(proxy),
    }
}

/// Returns the innermost reason. The outer ones say only that there was an error.
fn root(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    quote(&error.to_string())
}

fn quote(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    if line.chars().count() > QUOTED {
        line.chars().take(QUOTED).chain(['…']).collect()
    } else {
        line.to_owned()
    }
}

fn describe(status: &Status) -> String {
    let message = quote(&status.message);
    match status.code {
        401 => format!(
            "the API server didn't accept the credentials (401, {message}): log in again, or choose another context"
        ),
        403 => format!(
            "{message}: ask for that permission; `kube-devops check --for all` shows all that are missing"
        ),
        410 => format!("the list or watch has expired ({message}): try again"),
        429 => format!("the API server is too busy (429, {message}): try again later"),
        code @ 500.. => {
            format!(
                "the API server failed ({code}, {message}): try again, and check its logs if the error persists"
            )
        }
        404 if status.reason == NO_STATUS => format!(
            "nothing is served there (404, {message}): check the server's address, and for the resources of kube-devops \
             run `kube-devops crd install`"
        ),
        // Go's answer to plain HTTP on a port for TLS.
        400 if status.reason == NO_STATUS && message.contains("HTTP request to an HTTPS server") => {
            format!("the server speaks only https (400, {message}): write https:// in its address")
        }
        code if status.reason == NO_STATUS => {
            format!(
                "the answer isn't a Kubernetes API server's ({code}, {message}): check the server's address"
            )
        }
        code => format!("{message} ({code})"),
    }
}

impl Cluster {
    /// Calls the API server within the time limit.
    ///
    /// An overloaded server is tried up to four times. A failed connection or a refused call is not retried.
    pub async fn call<T, F>(&self, attempt: impl Fn(kube::Client) -> F) -> Result<T, CallError>
    where
        F: Future<Output = kube::Result<T>>,
    {
        let start = Instant::now();
        let limit = self.request_timeout.and_then(|limit| Some((limit, start.checked_add(limit)?)));
        let mut pauses = PAUSES.into_iter();
        loop {
            let attempt = attempt(self.client.clone());
            let outcome = match limit {
                Some((after, deadline)) => timeout_at(deadline, attempt)
                    .await
                    .map_err(|_| CallError::Timeout { server: self.server.clone(), after })?,
                None => attempt.await,
            };
            let error = match outcome {
                Ok(value) => return Ok(value),
                Err(error) => CallError::new(&self.server, error),
            };
            let (Some(asked), Some(pause)) = (error.busy(), pauses.next()) else { return Err(error) };
            let pause = pause.max(asked.min(LONGEST_PAUSE));
            // A pause beyond the deadline would replace the server's message with a timeout.
            if limit.is_some_and(|(_, deadline)| Instant::now() + pause >= deadline) {
                return Err(error);
            }
            sleep(pause).await;
        }
    }
}
