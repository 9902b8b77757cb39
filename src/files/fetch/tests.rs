//! Fetches from a real local server with answers scripted by path.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;

/// A server that answers until the test ends. It records the requested paths, and the credentials.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    credentials: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server. `answer` gets the requested path and the number of the request, and writes the response.
    fn start(answer: impl Fn(&str, usize, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let paths = Arc::clone(&asked);
        let credentials = Arc::new(Mutex::new(Vec::new()));
        let headers = Arc::clone(&credentials);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let Some(Ok(first)) = lines.next() else { continue };
                for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
                    headers.lock().unwrap().extend(line.strip_prefix("authorization: ").map(str::to_owned));
                }
                let path = first.split(' ').nth(1).unwrap().to_owned();
                let number = {
                    let mut paths = paths.lock().unwrap();
                    paths.push(path.clone());
                    paths.len()
                };
                answer(&path, number, &mut stream);
            }
        });
        Self { address, asked, credentials }
    }

    fn get(&self, path: &str, limits: Limits) -> Result<String, String> {
        Self::get_url(&format!("http://{}{path}", self.address), limits)
    }

    fn get_url(url: &str, limits: Limits) -> Result<String, String> {
        let mut body = get_within(url, limits).map_err(|error| error.to_string())?;
        let mut text = String::new();
        body.read_to_string(&mut text).map_err(|error| error.to_string())?;
        Ok(text)
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// Limits that keep the tests fast.
const QUICK: Limits = Limits { pause: Duration::ZERO, ..LIMITS };

fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    // A client may close the connection before it has read everything.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
}

#[test]
fn a_body_is_returned_for_every_success_status() {
    for status in ["200 OK", "203 Non-Authoritative Information"] {
        let server = Server::start(move |_, _, stream| respond(stream, status, "", "kind: Pod\n"));
        assert_eq!(server.get("/a?b=c#d", QUICK).as_deref(), Ok("kind: Pod\n"));
        assert_eq!(*server.asked.lock().unwrap(), ["/a?b=c"]);
    }
}

#[test]
fn a_server_error_is_tried_three_times_and_a_refusal_once() {
    for (status, attempts) in [("500 Oops", 3), ("503 Later", 3), ("404 Not Found", 1), ("403 No", 1)] {
        let server = Server::start(move |_, _, stream| respond(stream, status, "", ""));
        let error = server.get("/", QUICK).unwrap_err();
        assert!(error.starts_with(&format!("the server answered {}", &status[..3])), "{error}");
        assert_eq!(server.asked(), attempts, "{status}");
    }
    let server = Server::start(|_, number, stream| {
        respond(stream, if number < 3 { "500 Oops" } else { "200 OK" }, "", "late");
    });
    assert_eq!(server.get("/", QUICK).as_deref(), Ok("late"));
}

#[test]
fn at_most_ten_redirects_are_followed() {
    let chain = |path: &str, _: usize, stream: &mut TcpStream| match path.trim_matches('/').parse::<u32>() {
        Ok(0) => respond(stream, "200 OK", "", "end"),
        Ok(left) => respond(stream, "302 Found", &format!("location: {}\r\n", left - 1), ""),
        Err(_) => respond(stream, "301 Moved", "location: /loop\r\n", ""),
    };
    let server = Server::start(chain);
    assert_eq!(server.get("/10", QUICK).as_deref(), Ok("end"));
    assert_eq!(server.get("/11", QUICK), Err("redirected more than 10 times".to_owned()));
    assert_eq!(server.get("/loop", QUICK), Err("redirected more than 10 times".to_owned()));
    assert_eq!(server.asked(), 33);
}

#[test]
fn credentials_of_a_url_are_sent_and_stay_with_its_host() {
    let other = Server::start(|_, _, stream| respond(stream, "200 OK", "", "end"));
    let location = format!("location: http://{}/\r\n", other.address);
    let server = Server::start(move |_, _, stream| respond(stream, "302 Found", &location, ""));
    let url = format!("http://jane:s%3Acret@{}/", server.address);
    assert_eq!(Server::get_url(&url, QUICK).as_deref(), Ok("end"));
    assert_eq!(*server.credentials.lock().unwrap(), ["Basic amFuZTpzOmNyZXQ="]);
    assert_eq!(*other.credentials.lock().unwrap(), [""; 0]);
}

#[test]
fn a_redirect_to_another_protocol_is_an_error() {
    let server =
        Server::start(|_, _, stream| respond(stream, "302 Found", "location: file:///etc/passwd\r\n", ""));
    assert_eq!(server.get("/", QUICK), Err("\"file:///etc/passwd\" is not a valid URL".to_owned()));
}

#[test]
fn a_body_over_the_limit_is_an_error() {
    let small = Limits { size: 1 << 20, ..QUICK };
    let server = Server::start(|path, _, stream| {
        let body = vec![b'#'; (1 << 20) + usize::from(path != "/fits")];
        let length =
            if path == "/silent" { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let _ = write!(stream, "HTTP/1.1 200 OK\r\n{length}connection: close\r\n\r\n");
        let _ = stream.write_all(&body);
    });
    assert_eq!(server.get("/fits", small).unwrap().len(), 1 << 20);
    let error = Err("larger than 1 MiB: download it, and read the file".to_owned());
    assert_eq!(server.get("/announced", small), error);
    assert_eq!(server.get("/silent", small), error);
}

#[test]
fn a_silent_server_times_out() {
    let impatient = Limits { idle: Duration::from_millis(20), ..QUICK };
    let server = Server::start(|path, _, stream| {
        if path == "/half" {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nkind");
        }
        // Waits until the client closes the connection.
        let _ = stream.read(&mut [0]);
    });
    let error = Err("no answer within 0.02 s".to_owned());
    assert_eq!(server.get("/", impatient), error);
    assert_eq!(server.get("/half", impatient), error);
}

#[test]
fn a_slow_server_times_out() {
    let limits = Limits { total: Duration::from_millis(50), ..QUICK };
    let server = Server::start(|_, _, stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b"#").is_ok() {
            thread::yield_now();
        }
    });
    assert_eq!(server.get("/", limits), Err("not complete after 0.05 s".to_owned()));
}

#[test]
fn a_truncated_body_is_an_error() {
    let server = Server::start(|_, _, stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nkind");
    });
    let error = server.get("/", QUICK).unwrap_err();
    assert!(error.starts_with("the connection failed: "), "{error}");
}

#[test]
fn an_unreachable_server_is_named_with_the_reason() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = get_within(&format!("http://{address}/"), QUICK).err().unwrap().to_string();
    assert!(error.contains("can't connect") && error.contains("refused"), "{error}");
}
