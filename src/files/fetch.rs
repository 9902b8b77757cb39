//! Fetches manifests from URLs as kubectl does: without the kubeconfig's credentials, and through the environment's proxy.
//!
//! The rules are those of
//! [`URLVisitor`](https://github.com/kubernetes/cli-runtime/blob/v0.36.3/pkg/resource/visitor.go) with bounds on time
//! and size.

mod connect;
mod location;

use std::io::{self, Read};
use std::thread;
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

use connect::connect;
use location::resolve;

use crate::proxy::Login;

/// The bounds of a fetch.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// The number of attempts while the server can't be reached or answers with a 5xx status.
    attempts: u32,
    /// The time between two attempts.
    pause: Duration,
    /// The longest time to wait for the next byte.
    idle: Duration,
    /// The longest time for the whole response.
    total: Duration,
    /// The largest response, in bytes.
    size: u64,
    /// The largest number of redirects in a row.
    redirects: usize,
}

/// The attempts, the pause and the redirects are those of kubectl.
const LIMITS: Limits = Limits {
    attempts: 3,
    pause: Duration::from_secs(1),
    idle: Duration::from_secs(30),
    total: Duration::from_mins(5),
    size: 64 << 20,
    redirects: 10,
};

/// The reason why a URL can't be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The URL, or one that a redirect names, can't be used.
    #[error("{0:?} is not a valid URL")]
    Url(String),
    /// The server, or the proxy before it, can't be reached.
    #[error("can't connect: {0}")]
    Connect(String),
    /// The server's certificate is not accepted.
    #[error(
        "the server's certificate is not accepted ({0}): name the certificates of its authority in SSL_CERT_FILE, or \
         download the manifest and read the file"
    )]
    Certificate(String),
    /// The server's certificate is of another X.509 version than 3.
    #[error(
        "the server's certificate is not of X.509 version 3: have a new one made, or download the manifest and read \
         the file"
    )]
    CertificateVersion,
    /// The connection broke.
    #[error("the connection failed: {0}")]
    Broken(#[from] hyper::Error),
    /// The server answered with an error status.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The server sent nothing for too long.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Idle(Duration),
    /// The response took too long.
    #[error("not complete after {} s", .0.as_secs_f32())]
    Slow(Duration),
    /// The response is too large.
    #[error("larger than {} MiB: download it, and read the file", .0 >> 20)]
    TooLarge(u64),
    /// The redirects didn't end.
    #[error("redirected more than {0} times")]
    Redirects(usize),
    /// A redirect led from https to http.
    #[error("redirected from https to {0}, which is not encrypted")]
    Downgrade(Uri),
}

impl FetchError {
    /// Returns true if another attempt may succeed.
    fn is_transient(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Broken(_) => true,
            Self::Status(status) => status.is_server_error(),
            _ => false,
        }
    }
}

/// Fetches a URL and returns the body of the response.
pub(super) fn get(url: &str) -> io::Result<impl Read + Send + use<>> {
    get_within(url, LIMITS).map_err(io::Error::other)
}

fn get_within(url: &str, limits: Limits) -> Result<Body, FetchError> {
    let deadline = Instant::now() + limits.total;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| FetchError::Connect(error.to_string()))?;
    let mut attempt = 1;
    let response = loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        let outcome = runtime.block_on(async { timeout(rest, follow(url, limits)).await });
        match outcome.map_err(|_| FetchError::Slow(limits.total))? {
            Err(error) if error.is_transient() && attempt < limits.attempts => {
                attempt += 1;
                thread::sleep(limits.pause);
            }
            outcome => break outcome?,
        }
    };
    let body = response.into_body();
    if body.size_hint().lower() > limits.size {
        return Err(FetchError::TooLarge(limits.size));
    }
    Ok(Body { runtime, incoming: body, chunk: Bytes::new(), limits, left: limits.size, deadline })
}

/// Sends the request, and follows redirects to the response.
async fn follow(url: &str, limits: Limits) -> Result<Response<Incoming>, FetchError> {
    // The fragment is not sent to the server.
    let page = url.split_once('#').map_or(url, |(page, _)| page);
    let mut uri: Uri = page.parse().map_err(|_| FetchError::Url(url.to_owned()))?;
    for _ in 0..=limits.redirects {
        let response =
            timeout(limits.idle, request(&uri)).await.map_err(|_| FetchError::Idle(limits.idle))??;
        let status = response.status();
        let location = response.headers().get(header::LOCATION).filter(|_| status.is_redirection());
        match location {
            Some(location) => {
                let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
                let next = resolve(&uri, &location).ok_or(FetchError::Url(location))?;
                if uri.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                    return Err(FetchError::Downgrade(next));
                }
                uri = next;
            }
            None if status.is_success() => return Ok(response),
            None => return Err(FetchError::Status(status)),
        }
    }
    Err(FetchError::Redirects(limits.redirects))
}

/// Sends one request over a connection of its own.
async fn request(uri: &Uri) -> Result<Response<Incoming>, FetchError> {
    let connection = connect(uri).await.map_err(|error| {
        let text = chain(&*error);
        match text.split_once("invalid peer certificate: ") {
            Some((_, problem)) if problem.contains("UnsupportedCertVersion") => {
                FetchError::CertificateVersion
            }
            Some((_, problem)) => FetchError::Certificate(problem.to_owned()),
            None => FetchError::Connect(text),
        }
    })?;
    let (mut sender, driver) = http1::handshake(connection.stream).await?;
    tokio::spawn(driver);
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    // A proxy without a tunnel needs the absolute URL.
    let target = if connection.proxied { format!("http://{host}{path}") } else { path.to_owned() };
    let mut request = Request::get(target)
        .header(header::HOST, host)
        .header(header::ACCEPT, "*/*")
        .header(header::USER_AGENT, concat!("kube-devops/", env!("CARGO_PKG_VERSION")));
    // Those of the URL itself. A redirect has its own.
    if let Some(credentials) = Login::of_url(&uri.to_string()).as_ref().and_then(Login::basic) {
        request = request.header(header::AUTHORIZATION, credentials);
    }
    if let Some(credentials) = connection.proxy_credentials {
        request = request.header(header::PROXY_AUTHORIZATION, credentials);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| FetchError::Url(uri.to_string()))?;
    Ok(sender.send_request(request).await?)
}

/// Writes an error with its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

/// The body of a response, read as it arrives.
struct Body {
    runtime: Runtime,
    incoming: Incoming,
    chunk: Bytes,
    limits: Limits,
    /// The bytes that may still come.
    left: u64,
    deadline: Instant,
}

impl Body {
    /// Waits for the next bytes; `None` at the end.
    fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let (idle, total) = (self.limits.idle, self.limits.total);
        let rest = self.deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(FetchError::Slow(total));
        }
        let incoming = &mut self.incoming;
        match self.runtime.block_on(async { timeout(idle.min(rest), incoming.frame()).await }) {
            Err(_) if rest < idle => Err(FetchError::Slow(total)),
            Err(_) => Err(FetchError::Idle(idle)),
            Ok(None) => Ok(None),
            Ok(Some(frame)) => {
                let chunk = frame?.into_data().unwrap_or_default();
                self.left = self
                    .left
                    .checked_sub(chunk.len() as u64)
                    .ok_or(FetchError::TooLarge(self.limits.size))?;
                Ok(Some(chunk))
            }
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.next().map_err(io::Error::other)? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.chunk.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
