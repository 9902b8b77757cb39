//! The choice of a proxy, by the rules of Go's `golang.org/x/net/http/httpproxy`.

use super::address::{Login, authority, split, split_port};
use super::variables::{ProxyVariables, VariableError};
use http::Uri;
use http::uri::Scheme;
use ipnet::IpNet;
use std::net::IpAddr;

/// A proxy that connections go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The protocol.
    pub scheme: ProxyScheme,
    /// The address, always with a port.
    pub uri: Uri,
    /// The login at the proxy.
    pub login: Option<Login>,
}

/// The protocol that a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyScheme {
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// SOCKS5. The proxy resolves names: in Go, `socks5` and `socks5h` are the same.
    Socks5,
}

impl Proxy {
    /// Parses `proxy-url`, which needs a scheme.
    pub fn explicit(text: &str) -> Result<Self, String> {
        let parts = split(text).ok_or_else(|| {
            format!("{text:?} is no proxy: write http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT")
        })?;
        if parts.scheme == "socks5h" {
            return Err(format!("{text:?}: write socks5://, with which the proxy resolves names too"));
        }
        Self::read(text)
    }

    /// Parses an environment variable, in which `host:port` is an HTTP proxy.
    fn from_variable(text: &str) -> Result<Self, String> {
        if split(text).is_some() { Self::read(text) } else { Self::read(&format!("http://{text}")) }
    }

    fn read(text: &str) -> Result<Self, String> {
        let parts = split(text).ok_or_else(|| format!("{text:?} is no proxy: write http://HOST:PORT"))?;
        let (scheme, name, usual) = match parts.scheme.as_str() {
            "http" => (ProxyScheme::Http, "http", "80"),
            "https" => (ProxyScheme::Https, "https", "443"),
            "socks5" | "socks5h" => (ProxyScheme::Socks5, "socks5", "1080"),
            other => {
                return Err(format!(
                    "{text:?} has the scheme {other:?}: a proxy's scheme is http, https or socks5"
                ));
            }
        };
        let host = match split_port(parts.host) {
            (_, Some(port)) if !port.is_empty() => parts.host.to_owned(),
            (host, _) => format!("{host}:{usual}"),
        };
        let uri = authority(&host)
            .and_then(|authority| {
                let uri = Uri::builder().scheme(name).authority(authority).path_and_query("/").build();
                uri.map_err(|error| error.to_string())
            })
            .map_err(|error| format!("{text:?} is no proxy ({error}): write {name}://HOST:PORT"))?;
        Ok(Self { scheme, uri, login: parts.login })
    }
}

impl ProxyVariables {
    /// Returns the proxy that the environment names for a server.
    pub fn proxy(&self, server: &Uri) -> Result<Option<Proxy>, VariableError> {
        let (value, variable) =
            if is_secure(server) { (&self.https, "HTTPS_PROXY") } else { (&self.http, "HTTP_PROXY") };
        let Some(proxy) = value else { return Ok(None) };
        if is_direct(server, self.exceptions.as_deref().unwrap_or_default()) {
            return Ok(None);
        }
        Proxy::from_variable(proxy).map(Some).map_err(|problem| VariableError { variable, problem })
    }
}

fn is_secure(server: &Uri) -> bool {
    server.scheme() == Some(&Scheme::HTTPS)
}

/// Returns true if a server is reached without a proxy: on a loopback address, or if `NO_PROXY` covers it.
fn is_direct(server: &Uri, no_proxy: &str) -> bool {
    let Some(host) = server.host() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let usual = if is_secure(server) { 443 } else { 80 };
    let port = server.port_u16().unwrap_or(usual).to_string();
    let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    no_proxy.split(',').map(|entry| entry.trim().to_ascii_lowercase()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Ok(network) = entry.parse::<IpNet>() {
            return address.is_some_and(|address| network.contains(&address));
        }
        // The colons of an IPv6 address without brackets begin no port.
        let (name, only) = match split_port(&entry) {
            (name, Some(_)) if name.contains(':') && !name.ends_with(']') => (&*entry, None),
            split => split,
        };
        // Go takes brackets for a part of the host unless a port follows them.
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).filter(|_| only.is_some());
        let bare = bare.unwrap_or(name);
        let covers = match (address, bare.parse::<IpAddr>()) {
            (Some(address), Ok(covered)) => address == covered.to_canonical(),
            (None, Err(_)) => is_within(&host, bare),
            _ => false,
        };
        covers && only.is_none_or(|only| only.is_empty() || only == port)
    })
}

/// Returns true if a domain covers a host: `a.b` covers itself and its subdomains, `.a.b` and `*.a.b` only the latter.
fn is_within(host: &str, domain: &str) -> bool {
    let domain = domain.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(domain);
    match domain.strip_prefix('.') {
        Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
        None if domain.is_empty() => false,
        None => host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
    }
}

#[cfg(test)]
mod tests;
