//! Where a server listens: at one address, or at a port of all of them. Knows no server.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ServerError;

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// At a port of all addresses, which are those of IPv4 alone where the system has no IPv6.
    Port(u16),
    /// At this address and no other.
    Address(SocketAddr),
}

impl Listen {
    /// Binds what `bind` makes of an address, and names the address where that fails.
    pub(super) async fn bind<T>(
        self,
        bind: impl AsyncFn(SocketAddr) -> io::Result<T>,
    ) -> Result<T, ServerError> {
        let named = |address| move |source| ServerError::Bind { address, source };
        let port = match self {
            Self::Address(address) => return bind(address).await.map_err(named(address)),
            Self::Port(port) => port,
        };
        let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        match bind(both).await {
            Err(error) if is_without_ipv6(&error) => {
                let without = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
                bind(without).await.map_err(named(without))
            }
            bound => bound.map_err(named(both)),
        }
    }
}

/// Tells whether IPv6 may be what is missing. A port that is taken or reserved was looked for, so it is not; beyond
/// that, systems differ in what they say.
fn is_without_ipv6(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Listens on a system where addresses of IPv6 fail in this way, and returns what was tried and what came of it.
    async fn tried(listen: Listen, failure: fn() -> Option<io::Error>) -> (Vec<String>, Result<(), String>) {
        let tried = RefCell::new(Vec::new());
        let bound = listen.bind(async |address: SocketAddr| {
            tried.borrow_mut().push(address.to_string());
            failure().filter(|_| address.is_ipv6()).map_or(Ok(()), Err)
        });
        let bound = bound.await.map_err(|error| error.to_string());
        (tried.into_inner(), bound)
    }

    #[tokio::test]
    async fn a_port_is_bound_for_ipv4_alone_where_there_is_no_ipv6() {
        let port = Listen::Port(8080);
        assert_eq!(tried(port, || None).await, (vec!["[::]:8080".to_owned()], Ok(())));
        for failure in [
            || Some(io::ErrorKind::AddrNotAvailable.into()),
            // What Linux says without IPv6: the address family is not supported, which has no kind of its own.
            #[cfg(target_os = "linux")]
            || Some(io::Error::from_raw_os_error(97)),
        ] {
            let both = vec!["[::]:8080".to_owned(), "0.0.0.0:8080".to_owned()];
            assert_eq!(tried(port, failure).await, (both, Ok(())));
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_not_looked_for_elsewhere() {
        for failure in
            [|| Some(io::ErrorKind::AddrInUse.into()), || Some(io::ErrorKind::PermissionDenied.into())]
        {
            let (tried, bound) = tried(Listen::Port(80), failure).await;
            assert_eq!(tried, ["[::]:80"]);
            assert!(bound.unwrap_err().starts_with("cannot listen on [::]:80"));
        }
    }

    #[tokio::test]
    async fn an_address_that_was_asked_for_is_the_only_one() {
        let address = Listen::Address("[::]:8080".parse().unwrap());
        let (tried, bound) = tried(address, || Some(io::ErrorKind::AddrNotAvailable.into())).await;
        assert_eq!(tried, ["[::]:8080"]);
        assert!(bound.is_err());
    }
}
