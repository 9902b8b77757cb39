//! Measures harm: a client that sends a request to a Service every 100 ms and counts the failures.

use crate::eventually::eventually;
use crate::server::Traffic;
use http::Request;
use kube::{Client, Config};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

/// The time between two requests. A slow request doesn't delay the next one.
const PERIOD: Duration = Duration::from_millis(100);
/// The time limit of a request.
const PATIENCE: Duration = Duration::from_secs(1);
/// The Service's port.
pub(crate) const PORT: u16 = 80;

/// A running client, which stops on drop.
pub(crate) struct Poller {
    target: Arc<Target>,
    tally: Arc<Mutex<Tally>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Tally {
    next: u64,
    outstanding: BTreeSet<u64>,
    failed: u64,
    answered_in_a_row: u64,
}

impl Poller {
    /// Starts polling a Service by its address.
    pub(crate) fn start(address: IpAddr, traffic: Traffic) -> Self {
        let tally = Arc::<Mutex<Tally>>::default();
        let target = Arc::new(Target::new(address, traffic));
        let task = tokio::spawn(poll(Arc::clone(&target), Arc::clone(&tally)));
        Self { target, tally, task }
    }

    /// Sends an uncounted request. Returns true if it is answered.
    pub(crate) async fn request(&self, path: &str) -> bool {
        self.target.answers(path).await
    }

    /// Waits for the answers to all requests so far. Returns the number of failures since the start.
    pub(crate) async fn failed(&self) -> u64 {
        let end = lock(&self.tally).next;
        eventually("the answers to all requests", async || {
            let tally = lock(&self.tally);
            tally.outstanding.first().is_none_or(|first| *first >= end).then_some(tally.failed)
        })
        .await
    }

    /// Returns the number of requests answered since the last failure.
    pub(crate) fn answered_in_a_row(&self) -> u64 {
        lock(&self.tally).answered_in_a_row
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Target {
    Http(IpAddr),
    Https(Client),
    Datagrams(IpAddr),
}

impl Target {
    fn new(address: IpAddr, traffic: Traffic) -> Self {
        match traffic {
            Traffic::Http => Self::Http(address),
            Traffic::Https => Self::Https(tls_client(address)),
            Traffic::Datagrams => Self::Datagrams(address),
        }
    }

    /// Returns true if a request is answered in time.
    async fn answers(&self, path: &str) -> bool {
        let answer = async {
            match self {
                Self::Http(address) => get(*address, path).await.is_ok(),
                Self::Https(client) => {
                    let request = Request::get(path).body(Vec::new()).expect("a valid request");
                    client.request_text(request).await.is_ok()
                }
                Self::Datagrams(address) => exchange(*address).await.is_ok(),
            }
        };
        timeout(PATIENCE, answer).await.unwrap_or(false)
    }
}

/// Gets a path over a new connection, as new clients do. It is cheap, because many fixtures poll at the same time.
async fn get(address: IpAddr, path: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect((address, PORT)).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: web\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    if answer.starts_with(b"HTTP/1.1 200 ") { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Creates a client that accepts any certificate.
fn tls_client(address: IpAddr) -> Client {
    let mut config = Config::new(format!("https://{address}:{PORT}").parse().expect("a URL"));
    config.accept_invalid_certs = true;
    config.default_retry = false;
    Client::try_from(config).expect("a client of a valid configuration")
}

/// Sends a datagram and waits for the answer.
async fn exchange(address: IpAddr) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect((address, PORT)).await?;
    socket.send(b"ping").await?;
    socket.recv(&mut [0; 16]).await?;
    Ok(())
}

async fn poll(target: Arc<Target>, tally: Arc<Mutex<Tally>>) {
    let mut ticks = interval(PERIOD);
    loop {
        ticks.tick().await;
        let id = {
            let mut tally = lock(&tally);
            let id = tally.next;
            tally.next += 1;
            tally.outstanding.insert(id);
            id
        };
        let (target, tally) = (Arc::clone(&target), Arc::clone(&tally));
        tokio::spawn(async move {
            let answers = target.answers("/").await;
            let mut tally = lock(&tally);
            tally.outstanding.remove(&id);
            if answers {
                tally.answered_in_a_row += 1;
            } else {
                tally.failed += 1;
                tally.answered_in_a_row = 0;
            }
        });
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
