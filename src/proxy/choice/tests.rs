//! Tests of the choice of a proxy.

use super::*;

fn server(text: &str) -> Uri {
    text.parse().unwrap()
}

#[test]
fn loopback_and_no_proxy_hosts_are_direct() {
    for (address, no_proxy, direct) in [
        ("https://127.0.0.1:6443", "", true),
        ("https://127.8.9.1", "", true),
        ("https://[::1]:6443", "", true),
        ("https://localhost", "", true),
        ("https://api.example.com", "", false),
        ("https://api.example.com", "other.com, example.com", true),
        ("https://api.example.com", ".EXAMPLE.com", true),
        ("https://api.example.com", "*.example.com", true),
        ("https://example.com", "example.com", true),
        ("https://example.com", ".example.com", false),
        ("https://example.com", "*.example.com", false),
        ("https://api.notexample.com", "example.com", false),
        ("https://api.example.com", "*", true),
        ("https://api.example.com:6443", "example.com:6443", true),
        ("https://api.example.com:6443", "example.com:443", false),
        ("https://api.example.com", "example.com:443", true),
        ("http://api.example.com", "example.com:443", false),
        ("http://api.example.com", "example.com:80", true),
        ("https://api.example.com", ":443,,/,[]", false),
        ("https://10.1.2.3:6443", "10.0.0.0/8", true),
        ("https://10.1.2.3:6443", "10.9.9.9/8", true),
        ("https://11.1.2.3:6443", "10.0.0.0/8,10.0.0.0/x,11.1.2.4", false),
        ("https://11.1.2.3:6443", "11.1.2.3", true),
        ("https://11.1.2.3:6443", "11.1.2.3:6443", true),
        ("https://11.1.2.3:6443", "11.1.2.3:443", false),
        ("https://11.1.2.3", "2.3", false),
        ("https://[fd00::1]", "fd00::/8", true),
        ("https://[fd00::1]", "fd00::1", true),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", true),
        ("https://[fd00::1]:6443", "[fd00::1]:443", false),
        ("https://[fd00::1]:6443", "[fd00::1]:", true),
        ("https://[fd00::1]:6443", "[fd00::1]", false),
        ("https://10.1.2.3:6443", "[10.1.2.3]", false),
        ("https://example.com", "[example.com]:443", true),
        ("https://example.com", "[example.com]", false),
    ] {
        assert_eq!(is_direct(&server(address), no_proxy), direct, "{address} {no_proxy}");
    }
}

#[test]
fn only_variables_may_omit_the_scheme() {
    for (text, scheme, uri) in [
        ("proxy:3128", ProxyScheme::Http, "http://proxy:3128/"),
        ("proxy", ProxyScheme::Http, "http://proxy:80/"),
        ("127.0.0.1:3128", ProxyScheme::Http, "http://127.0.0.1:3128/"),
        ("http://proxy:3128/path", ProxyScheme::Http, "http://proxy:3128/"),
        ("https://proxy", ProxyScheme::Https, "https://proxy:443/"),
        ("socks5://proxy", ProxyScheme::Socks5, "socks5://proxy:1080/"),
        ("socks5h://[::1]:9", ProxyScheme::Socks5, "socks5://[::1]:9/"),
    ] {
        let proxy = Proxy::from_variable(text).unwrap();
        assert_eq!((proxy.scheme, proxy.uri.to_string().as_str()), (scheme, uri), "{text}");
    }
    let login = Proxy::explicit("http://me:p%3Aw@proxy:1").unwrap().login.unwrap();
    assert_eq!((login.name.as_str(), login.password.as_str()), ("me", "p:w"));
    for text in ["proxy:3128", "proxy", "ftp://proxy", "socks5h://proxy", "http://", "http://a b"] {
        assert!(Proxy::explicit(text).is_err(), "{text}");
    }
}

#[test]
fn the_environment_names_a_proxy_for_each_scheme() {
    let variables = ProxyVariables {
        https: Some("secure:1".to_owned()),
        http: Some("plain:2".to_owned()),
        exceptions: Some("direct.com".to_owned()),
    };
    for (address, proxy) in [
        ("https://a.com", Some("http://secure:1/")),
        ("http://a.com", Some("http://plain:2/")),
        ("https://direct.com", None),
        ("https://127.0.0.1", None),
    ] {
        let found = variables.proxy(&server(address)).unwrap();
        assert_eq!(found.map(|proxy| proxy.uri.to_string()).as_deref(), proxy, "{address}");
    }
    let broken = ProxyVariables { https: Some("ftp://a".to_owned()), ..ProxyVariables::default() };
    let error = broken.proxy(&server("https://a.com")).unwrap_err().to_string();
    assert_eq!(
        error,
        "$HTTPS_PROXY: \"ftp://a\" has the scheme \"ftp\": a proxy's scheme is http, https or socks5"
    );
}
