//! Which servers are reached without the proxy that the environment names, as Go's client and curl see it.

use http::Uri;
use std::net::IpAddr;

/// Tells whether a server is reached directly: a loopback address always, others when `NO_PROXY` covers them.
pub(super) fn is_direct(server: &Uri, no_proxy: &str) -> bool {
    let Some(host) = server.host() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    no_proxy.split(',').map(|entry| entry.trim().to_ascii_lowercase()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some(address) = address {
            return entry.parse() == Ok(address) || is_within(address, &entry);
        }
        let domain = entry.trim_start_matches("*.").trim_start_matches('.');
        let rest = host.strip_suffix(domain).filter(|_| !domain.is_empty());
        rest.is_some_and(|rest| rest.ends_with('.') || rest.is_empty())
    })
}

/// Tells whether an address is in a network such as `10.0.0.0/8`.
fn is_within(address: IpAddr, network: &str) -> bool {
    let Some((network, length)) = network.split_once('/') else { return false };
    let Ok(length) = length.parse::<u32>() else { return false };
    // The bits that differ all have to be beyond the prefix.
    match (address, network.parse()) {
        (IpAddr::V4(address), Ok(IpAddr::V4(network))) => {
            length <= 32 && (address.to_bits() ^ network.to_bits()).leading_zeros() >= length
        }
        (IpAddr::V6(address), Ok(IpAddr::V6(network))) => {
            length <= 128 && (address.to_bits() ^ network.to_bits()).leading_zeros() >= length
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_what_no_proxy_covers_is_direct() {
        for (server, no_proxy, direct) in [
            ("https://127.0.0.1:6443", "", true),
            ("https://[::1]:6443", "", true),
            ("https://localhost", "", true),
            ("https://api.example.com", "", false),
            ("https://api.example.com", "other.com, example.com", true),
            ("https://api.example.com", ".EXAMPLE.com", true),
            ("https://api.example.com", "*.example.com", true),
            ("https://api.notexample.com", "example.com", false),
            ("https://api.example.com", "*", true),
            ("https://10.1.2.3:6443", "10.0.0.0/8", true),
            ("https://11.1.2.3:6443", "10.0.0.0/8,10.0.0.0/x,11.1.2.4", false),
            ("https://11.1.2.3:6443", "11.1.2.3", true),
            ("https://[fd00::1]", "fd00::/8", true),
        ] {
            assert_eq!(is_direct(&server.parse().unwrap(), no_proxy), direct, "{server} {no_proxy}");
        }
    }
}
