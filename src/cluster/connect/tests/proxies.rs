//! Real proxies: `CONNECT`, forwarded requests and SOCKS5.

use super::server::{Server, read_head};
use super::tls::version;
use super::{Overrides, attempt};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// The requests that a proxy received.
type Asked = Arc<Mutex<Vec<String>>>;

/// Starts a proxy that forwards every request to `port`.
async fn http_proxy(port: u16) -> (u16, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (own, asked) = (listener.local_addr().unwrap().port(), Asked::default());
    let shared = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let shared = shared.clone();
            tokio::spawn(async move {
                let Some(head) = read_head(&mut client).await else { return };
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                if head.starts_with("CONNECT") {
                    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                } else {
                    server.write_all(head.as_bytes()).await.unwrap();
                }
                shared.lock().unwrap().push(head);
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (own, asked)
}

/// Starts a SOCKS5 proxy that forwards to `port`. It asks for a login if the client offers one.
async fn socks_proxy(port: u16) -> (u16, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (own, asked) = (listener.local_addr().unwrap().port(), Asked::default());
    let shared = asked.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(socks(client, port, shared.clone()));
        }
    });
    (own, asked)
}

async fn socks(mut client: TcpStream, port: u16, asked: Asked) -> std::io::Result<()> {
    let (_, count) = (client.read_u8().await?, client.read_u8().await?);
    let mut methods = vec![0; count.into()];
    client.read_exact(&mut methods).await?;
    let mut login = String::new();
    if methods.contains(&2) {
        client.write_all(&[5, 2]).await?;
        client.read_u8().await?;
        let (name, password) = (text(&mut client).await?, text(&mut client).await?);
        login = format!("{name}:{password}@");
        client.write_all(&[1, 0]).await?;
    } else {
        client.write_all(&[5, 0]).await?;
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    assert_eq!(request, [5, 1, 0, 3], "the proxy resolves the name");
    let host = text(&mut client).await?;
    let wanted = client.read_u16().await?;
    asked.lock().unwrap().push(format!("{login}{host}:{wanted}"));
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

async fn text(client: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut bytes).await?;
    Ok(String::from_utf8(bytes).unwrap())
}

/// Sends a request to a server behind a proxy. Returns the requests that the proxy and the server received.
async fn ask(scheme: &str, login: &str, secure: bool) -> (Vec<String>, Vec<String>) {
    let key = rcgen::generate_simple_self_signed(vec!["server.test".to_owned()]).unwrap();
    let tls = secure.then(|| {
        let secret = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        super::server::settings(vec![key.cert.der().clone()], secret, None)
    });
    let server = Server::start(tls).await;
    let (port, asked) =
        if scheme == "socks5" { socks_proxy(server.port).await } else { http_proxy(server.port).await };
    let cluster = serde_json::json!({
        "server": format!("{}://server.test:6443", if secure { "https" } else { "http" }),
        "insecure-skip-tls-verify": true,
        "proxy-url": format!("{scheme}://{login}127.0.0.1:{port}"),
    });
    let cluster = attempt(&cluster.to_string(), "{token: t}", Overrides::default()).await.unwrap();
    version(&cluster).await.unwrap();
    let asked = asked.lock().unwrap().clone();
    (asked, server.heads())
}

#[tokio::test]
async fn an_https_server_is_reached_through_connect() {
    let (proxy, server) = ask("http", "", true).await;
    assert!(proxy[0].starts_with("CONNECT server.test:6443 HTTP/1.1\r\n"), "{proxy:?}");
    assert!(!proxy[0].to_lowercase().contains("proxy-authorization"), "{proxy:?}");
    assert!(server[0].starts_with("GET /version HTTP/1.1\r\n"), "{server:?}");
    let (proxy, server) = ask("http", "me:p%40ss@", true).await;
    assert!(proxy[0].to_lowercase().contains("proxy-authorization: basic bwu6cebzcw=="), "{proxy:?}");
    assert!(!server[0].to_lowercase().contains("proxy-authorization"), "{server:?}");
    assert!(server[0].to_lowercase().contains("authorization: bearer t"), "{server:?}");
}

#[tokio::test]
async fn an_http_server_is_reached_by_absolute_url_without_credentials() {
    let (proxy, _) = ask("http", "me:p%40ss@", false).await;
    assert!(proxy[0].starts_with("GET http://server.test:6443/version HTTP/1.1\r\n"), "{proxy:?}");
    let head = proxy[0].to_lowercase();
    assert!(head.contains("proxy-authorization: basic bwu6cebzcw=="), "{head}");
    assert!(!head.contains("bearer"), "{head}");
}

#[tokio::test]
async fn a_socks_proxy_resolves_names_and_gets_the_login() {
    for secure in [true, false] {
        let (proxy, server) = ask("socks5", "", secure).await;
        assert_eq!(proxy, ["server.test:6443"]);
        assert!(server[0].starts_with("GET /version HTTP/1.1\r\n"), "{server:?}");
    }
    let (proxy, _) = ask("socks5", "me:p%40ss@", true).await;
    assert_eq!(proxy, ["me:p@ss@server.test:6443"]);
}

#[tokio::test]
async fn a_proxy_that_is_down_is_named_without_its_login() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (scheme, server) in [("http", "https"), ("http", "http"), ("https", "https"), ("socks5", "https")] {
        let proxy = format!("{scheme}://{closed}");
        let cluster = serde_json::json!({
            "server": format!("{server}://server.test:6443"),
            "insecure-skip-tls-verify": true,
            "proxy-url": proxy.replace("//", "//me:secret@"),
        });
        let cluster = attempt(&cluster.to_string(), "{}", Overrides::default()).await.unwrap();
        let error = version(&cluster).await.unwrap_err().to_string();
        let start = format!("cannot reach {server}://server.test:6443 through the proxy {proxy}: ");
        assert!(error.starts_with(&start) && !error.contains("secret"), "{error}");
    }
}
