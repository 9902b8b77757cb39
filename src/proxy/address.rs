//! Addresses of servers and proxies by the rules of Go's `net/url` and of client-go's `rest.DefaultServerURL`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

/// The address of an API server, and the login that it may contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Scheme, host, port and path.
    pub uri: Uri,
    /// `user:password@`, which Go sends unless there are other credentials.
    pub login: Option<Login>,
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl Login {
    /// Returns the name and the password in a URL, as in `https://NAME:PASSWORD@HOST`.
    pub fn of_url(url: &str) -> Option<Self> {
        split(url)?.login
    }

    /// Returns the header value of HTTP basic authentication.
    pub fn basic(&self) -> Option<HeaderValue> {
        let text = format!("Basic {}", STANDARD.encode(format!("{}:{}", self.name, self.password)));
        let mut header = HeaderValue::from_str(&text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// The parts of a URL with any scheme.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) scheme: String,
    pub(super) login: Option<Login>,
    /// The host, and the port if there is one.
    pub(super) host: &'a str,
    /// The path without query and fragment.
    pub(super) path: &'a str,
}

impl Address {
    /// Parses a server's address. Without a scheme, `https` is assumed if `secure` is true, else `http`.
    pub fn parse(text: &str, secure: bool) -> Result<Self, String> {
        let with_scheme;
        let parts = if let Some(parts) = split(text) {
            parts
        } else {
            with_scheme = format!("{}://{text}", if secure { "https" } else { "http" });
            let parts = split(&with_scheme).filter(|parts| matches!(parts.path, "" | "/"));
            parts.ok_or_else(|| format!("{text:?} is no address: write https://HOST:PORT"))?
        };
        let scheme = match parts.scheme.as_str() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            other => return Err(format!("{text:?} has the scheme {other:?}: write https://HOST:PORT")),
        };
        let bad = |error: &dyn std::fmt::Display| {
            format!("{text:?} is no address ({error}): write https://HOST:PORT")
        };
        let path = if parts.path.is_empty() { "/" } else { parts.path };
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(authority(parts.host).map_err(|error| bad(&error))?)
            .path_and_query(path.parse::<PathAndQuery>().map_err(|error| bad(&error))?)
            .build()
            .map_err(|error| bad(&error))?;
        Ok(Self { uri, login: parts.login })
    }

    /// Returns true if the connection is encrypted.
    pub fn is_secure(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }
}

/// Parses a host with an optional port.
pub(super) fn authority(host: &str) -> Result<Authority, String> {
    let (name, port) = split_port(host);
    if let Some(port) = port
        && !port.is_empty()
        && port.parse::<u16>().is_err()
    {
        return Err(format!("{port:?} is not a valid port"));
    }
    // `host:` means the default port.
    let host = if port == Some("") { name } else { host };
    host.parse::<Authority>().map_err(|error| error.to_string())
}

/// Splits `host:port`. Colons within `[::1]` belong to the host.
pub fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// Splits a URL that has both a scheme and a host.
pub(super) fn split(text: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = text.split_once("://")?;
    let mut letters = scheme.chars();
    let sound = letters.next()?.is_ascii_alphabetic()
        && letters.all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    if !sound || text.chars().any(|letter| letter.is_ascii_control()) {
        return None;
    }
    let rest = rest.split('#').next()?;
    let rest = rest.split('?').next()?;
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority),
    };
    if host.is_empty() {
        return None;
    }
    let login = login.map(|login| {
        let (name, password) = login.split_once(':').unwrap_or((login, ""));
        let plain = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        Login { name: plain(name), password: plain(password) }
    });
    Some(Parts { scheme: scheme.to_ascii_lowercase(), login, host, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_parsed_as_in_client_go() {
        for (text, uri) in [
            ("https://example.com:6443", "https://example.com:6443/"),
            ("HTTPS://example.com", "https://example.com/"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("localhost:8080", "http://localhost:8080/"),
            ("example.com", "http://example.com/"),
            ("example.com/", "http://example.com/"),
            ("[::1]:6443", "http://[::1]:6443/"),
            ("https://example.com:", "https://example.com/"),
            ("https://example.com/k8s/clusters/c-1?x=y#z", "https://example.com/k8s/clusters/c-1"),
        ] {
            assert_eq!(Address::parse(text, false).unwrap().uri.to_string(), uri, "{text}");
        }
        assert_eq!(Address::parse("example.com", true).unwrap().uri.to_string(), "https://example.com/");
        for text in
            ["", "https://", "example.com/path", "ftp://example.com", "https://a b", "a:b:c", " https://a"]
        {
            let error = Address::parse(text, false).unwrap_err();
            assert!(error.ends_with("write https://HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn a_login_in_an_address_is_decoded() {
        let address = Address::parse("https://me:p%40ss@example.com", false).unwrap();
        assert_eq!(address.uri.to_string(), "https://example.com/");
        assert_eq!(address.login, Some(Login { name: "me".to_owned(), password: "p@ss".to_owned() }));
    }
}
