//! The address that a server listens on. Knows no server.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::net::{TcpListener, lookup_host};

use super::ServerError;

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A port on all addresses: those of IPv4 alone where the system has no IPv6.
    Port(u16),
    /// A host and a port; the host is an address, or a name that leads to one.
    Host(String, u16),
}

/// An address that does not parse.
#[derive(Debug, thiserror::Error)]
#[error(
    "not an address: give a port such as :8080, or host and port such as 127.0.0.1:8080 or localhost:8080"
)]
pub struct ListenError;

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let port = port.parse().map_err(|_| ListenError)?;
        if host.is_empty() {
            return Ok(Self::Port(port));
        }
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_valid = match bracketed {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => host.parse::<Ipv4Addr>().is_ok() || is_host_name(host),
        };
        if is_valid { Ok(Self::Host(bracketed.unwrap_or(host).to_owned(), port)) } else { Err(ListenError) }
    }
}

/// Returns true if a text is a host name (RFC 1123); one that ends in a number would be an address.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, ":{port}"),
            Self::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

impl Listen {
    /// Binds a TCP socket. Returns it with its address, which has the port that the system chose for port 0.
    pub(super) async fn open(self) -> Result<(TcpListener, SocketAddr), ServerError> {
        let bind = async |address: SocketAddr| {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        self.bind(bind).await
    }

    /// Binds by `bind`, which is given one address after the other until one can be bound.
    async fn bind<T>(self, bind: impl AsyncFn(SocketAddr) -> io::Result<T>) -> Result<T, ServerError> {
        match &self {
            Self::Port(port) => match bind((Ipv6Addr::UNSPECIFIED, *port).into()).await {
                Err(error) if may_lack_ipv6(&error) => bind((Ipv4Addr::UNSPECIFIED, *port).into()).await,
                bound => bound,
            },
            Self::Host(host, port) => bind_host(host, *port, bind).await,
        }
        .map_err(|source| ServerError::Bind { listen: self.to_string(), source })
    }
}

/// Binds the first address of a host that can be bound.
async fn bind_host<T>(
    host: &str,
    port: u16,
    bind: impl AsyncFn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((host, port)).await? {
        match bind(address).await {
            Ok(bound) => return Ok(bound),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Returns true if the cause may be a system without IPv6. Systems differ in the error that they return, but a port
/// that is in use or reserved was reached.
fn may_lack_ipv6(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Binds on a system where IPv6 addresses fail like this; returns the addresses that were tried and the outcome.
    async fn tried(listen: Listen, failure: fn() -> Option<io::Error>) -> (Vec<String>, Result<(), String>) {
        let tried = RefCell::new(Vec::new());
        let bound = listen.bind(async |address: SocketAddr| {
            tried.borrow_mut().push(address.to_string());
            failure().filter(|_| address.is_ipv6()).map_or(Ok(()), Err)
        });
        let bound = bound.await.map_err(|error| error.to_string());
        (tried.into_inner(), bound)
    }

    #[test]
    fn a_port_or_a_host_and_a_port_are_addresses() {
        for text in [":8080", "8080"] {
            assert_eq!(text.parse::<Listen>().unwrap(), Listen::Port(8080), "{text}");
        }
        for (text, host, port) in [
            ("127.0.0.1:0", "127.0.0.1", 0),
            ("[::1]:9", "::1", 9),
            ("localhost:8080", "localhost", 8080),
            ("node-1.example.com:80", "node-1.example.com", 80),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(listen, Listen::Host(host.to_owned(), port), "{text}");
            assert_eq!(listen.to_string(), text);
        }
        for text in
            ["", ":", "localhost", "1.2.3.4", ":99999", "1.2.3:80", "::1:80", "[x]:80", "a b:80", "-a:80"]
        {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_port_is_bound_for_ipv4_alone_on_a_system_without_ipv6() {
        let port = || Listen::Port(8080);
        assert_eq!(tried(port(), || None).await, (vec!["[::]:8080".to_owned()], Ok(())));
        for failure in [
            || Some(io::ErrorKind::AddrNotAvailable.into()),
            // Linux without IPv6: the address family is not supported, an error without a kind of its own.
            #[cfg(target_os = "linux")]
            || Some(io::Error::from_raw_os_error(97)),
        ] {
            let both = vec!["[::]:8080".to_owned(), "0.0.0.0:8080".to_owned()];
            assert_eq!(tried(port(), failure).await, (both, Ok(())));
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_not_replaced_by_another() {
        for failure in
            [|| Some(io::ErrorKind::AddrInUse.into()), || Some(io::ErrorKind::PermissionDenied.into())]
        {
            let (tried, bound) = tried(Listen::Port(80), failure).await;
            assert_eq!(tried, ["[::]:80"]);
            assert!(bound.unwrap_err().starts_with("cannot listen on :80"));
        }
    }

    #[tokio::test]
    async fn an_address_is_the_only_one_that_is_tried() {
        let address = "[::]:8080".parse().unwrap();
        let (tried, bound) = tried(address, || Some(io::ErrorKind::AddrNotAvailable.into())).await;
        assert_eq!(tried, ["[::]:8080"]);
        assert!(bound.is_err());
    }

    #[tokio::test]
    async fn a_host_name_is_resolved() {
        let (tried, bound) = tried("localhost:8080".parse().unwrap(), || None).await;
        assert!(matches!(&*tried[0], "127.0.0.1:8080" | "[::1]:8080"), "{tried:?}");
        assert_eq!(bound, Ok(()));
    }
}
