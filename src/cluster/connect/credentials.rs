//! A client's credentials: keeps the `Authorization` header up to date.

use super::error::{ConnectError, Place};
use super::exec::{Plugin, Printed};
use super::tls::certified_key;
use http::HeaderValue;
use jiff::Timestamp;
use rustls::sign::CertifiedKey;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The interval between two reads of a file: client-go's minute minus its leeway.
const FILE_PERIOD: Duration = Duration::from_secs(50);

/// The reason why a request has no credentials; its text includes the fix.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::cluster) struct CredentialsError(String);

/// The source of the credentials.
#[derive(Clone, Debug)]
pub(super) enum Credentials {
    /// No credentials, or only a certificate.
    None,
    /// A header that never changes.
    Fixed(HeaderValue),
    /// A token file.
    File(Arc<TokenFile>),
    /// An exec plugin.
    Plugin(Arc<PluginCredentials>),
}

/// The credentials of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) header: Option<HeaderValue>,
    /// The certificate that a plugin printed.
    pub(super) key: Option<Arc<CertifiedKey>>,
    expires: Option<Timestamp>,
}

impl Credentials {
    /// Returns the credentials for the next request.
    pub(super) async fn held(&self) -> Result<Arc<Held>, CredentialsError> {
        let fixed = |header: &HeaderValue| Held { header: Some(header.clone()), ..Held::default() };
        match self {
            Self::None => Ok(Arc::default()),
            Self::Fixed(header) => Ok(Arc::new(fixed(header))),
            Self::File(file) => Ok(Arc::new(fixed(&file.header().await))),
            Self::Plugin(plugin) => plugin.clone().held().await,
        }
    }

    /// Records that the server refused these credentials.
    pub(super) async fn refused(&self, held: &Arc<Held>) {
        if let Self::Plugin(plugin) = self {
            plugin.forget(held).await;
        }
    }
}

/// A token in a file that another process renews.
#[derive(Debug)]
pub(super) struct TokenFile {
    path: PathBuf,
    /// The last header, and the time of the next read.
    state: Mutex<(HeaderValue, Instant)>,
}

impl TokenFile {
    /// Reads a file for the first time. `fallback` is used if it can't be read.
    pub(super) fn open(
        path: PathBuf,
        place: &Place,
        fallback: Option<HeaderValue>,
    ) -> Result<Self, ConnectError> {
        let header = match (read_token(&path), fallback) {
            (Ok(header), _) | (Err(_), Some(header)) => header,
            (Err(problem), None) => return Err(place.error(problem)),
        };
        Ok(Self { path, state: Mutex::new((header, Instant::now() + FILE_PERIOD)) })
    }

    async fn header(&self) -> HeaderValue {
        let mut state = self.state.lock().await;
        if Instant::now() >= state.1 {
            // The last token stays in use if the file can't be read, as with client-go.
            if let Ok(header) = read_token(&self.path) {
                state.0 = header;
            }
            state.1 = Instant::now() + FILE_PERIOD;
        }
        state.0.clone()
    }
}

fn read_token(path: &PathBuf) -> Result<HeaderValue, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|reason| format!("cannot read {shown}: {reason}"))?;
    match text.trim() {
        "" => Err(format!("{shown} is empty: log in again")),
        token => bearer(token).map_err(|problem| format!("the token in {shown} {problem}: remove it")),
    }
}

/// A plugin and its last credentials.
#[derive(Debug)]
pub(super) struct PluginCredentials {
    plugin: Plugin,
    last: Mutex<Option<Arc<Held>>>,
}

impl PluginCredentials {
    /// Wraps a plugin without running it.
    pub(super) fn new(plugin: Plugin) -> Arc<Self> {
        Arc::new(Self { plugin, last: Mutex::new(None) })
    }

    /// Returns valid credentials, and runs the plugin if needed. Concurrent callers wait for one run.
    async fn held(self: Arc<Self>) -> Result<Arc<Held>, CredentialsError> {
        // The plugin runs in its own task, so that a request's time limit doesn't abort a login.
        let outcome = tokio::spawn(async move {
            let mut last = self.last.lock().await;
            if let Some(held) = last.as_ref().filter(|held| !held.is_expired()) {
                return Ok(held.clone());
            }
            let printed = self.plugin.run().await.map_err(CredentialsError)?;
            let held = Arc::new(self.hold(&printed).map_err(CredentialsError)?);
            *last = Some(held.clone());
            Ok(held)
        });
        outcome.await.unwrap_or_else(|error| Err(CredentialsError(error.to_string())))
    }

    async fn forget(&self, refused: &Arc<Held>) {
        let mut last = self.last.lock().await;
        if last.as_ref().is_some_and(|held| Arc::ptr_eq(held, refused)) {
            *last = None;
        }
    }

    fn hold(&self, printed: &Printed) -> Result<Held, String> {
        let failed = |what: &str, problem: String| {
            format!("the command {:?} printed a {what} that {problem}", self.plugin.exec.command)
        };
        let Printed { token, client_certificate_data: certificate, client_key_data: key, .. } = printed;
        let header = (!token.is_empty()).then(|| bearer(token)).transpose();
        let key = if certificate.is_empty() {
            None
        } else {
            let key = certified_key(certificate.as_bytes(), key.as_bytes());
            Some(key.map_err(|problem| failed("certificate", problem.text))?)
        };
        Ok(Held {
            header: header.map_err(|problem| failed("token", format!("{problem}: correct the command")))?,
            key: key.map(Arc::new),
            expires: printed.expiration_timestamp,
        })
    }
}

impl Held {
    #[expect(
        clippy::disallowed_methods,
        reason = "a plugin gives a wall-clock time, and this is a client's edge"
    )]
    fn is_expired(&self) -> bool {
        self.expires.is_some_and(|expires| Timestamp::now() > expires)
    }
}

/// Builds the header of a token. The error continues "the token ..." and doesn't have the fix.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, String> {
    secret(&format!("Bearer {token}"))
        .ok_or_else(|| "has a line break or another control character".to_owned())
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    header.set_sensitive(true);
    Some(header)
}
