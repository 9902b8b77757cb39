//! A forwarder in front of an API server, which kills the server in the middle of an answer.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::control_plane::ControlPlane;

/// Forwards connections to the API server until it has sent `most` bytes, and kills it then. Returns its own address.
pub(crate) fn killed_after(plane: &Arc<ControlPlane>, server: &str, most: usize) -> SocketAddr {
    let server: SocketAddr = server.trim_start_matches("https://").parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (plane, sent) = (Arc::clone(plane), Arc::new(AtomicUsize::new(0)));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(upstream) = TcpStream::connect(server) else { continue };
            let (from_client, to_server) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
            thread::spawn(move || forward(from_client, to_server, |_| true));
            let (plane, sent) = (Arc::clone(&plane), Arc::clone(&sent));
            thread::spawn(move || {
                forward(upstream, client, |bytes| {
                    let before = sent.fetch_add(bytes, Ordering::Relaxed);
                    let goes_on = before + bytes <= most;
                    if !goes_on {
                        plane.kill_api_server();
                    }
                    goes_on
                });
            });
        }
    });
    address
}

/// Forwards bytes while `goes_on`, and closes both sides then.
fn forward(mut from: TcpStream, mut to: TcpStream, goes_on: impl Fn(usize) -> bool) {
    let mut buffer = vec![0; 4096];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        if !goes_on(bytes) || to.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
