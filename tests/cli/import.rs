//! An import into a server that goes away.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::json;

use super::{directory, run_in};

/// A request to the server.
struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
}

/// Reads a request; `None` at the end of the connection.
fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        match header.trim().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok()?;
            }
            None if header.trim().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Request { method, path, body })
}

/// Serves an empty cluster until it has stored `most` policies. Returns its address.
fn server(most: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut stored = 0;
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            while let Some(request) = read(&mut stream) {
                let is_apply = request.method == "PATCH";
                if is_apply && !request.path.contains("dryRun") {
                    if stored == most {
                        // The listener is closed with it.
                        return;
                    }
                    stored += 1;
                }
                let missing =
                    json!({ "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404 });
                let (status, body) = if is_apply {
                    ("200 OK", request.body)
                } else {
                    ("404 Not Found", missing.to_string().into_bytes())
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let answer = [head.as_bytes(), &body].concat();
                if stream.get_mut().write_all(&answer).is_err() {
                    break;
                }
            }
        }
    });
    address
}

#[test]
fn an_import_that_the_server_breaks_off_says_what_is_left() {
    let policy = |name: &str| {
        format!(
            "---\napiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\n\
             metadata: {{name: {name}, namespace: shop}}\nspec: {{forbidLatestTag: true}}\n"
        )
    };
    let text = ["a", "b", "c", "d"].map(policy).concat();
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "" } }],
        "clusters": [{ "name": "c", "cluster": { "server": format!("http://{}", server(2)) } }],
    });
    let tree = directory(&[("set.yaml", text.as_bytes()), ("config.json", config.to_string().as_bytes())]);
    let args =
        ["policy", "import", "-f", "set.yaml", "--kubeconfig", "config.json", "--request-timeout", "2s"];
    let run = run_in(tree.path(), &args, "");
    assert_eq!(
        (run.status, run.stdout.as_str()),
        (2, "policy shop/a created\npolicy shop/b created\n"),
        "{run}"
    );
    for part in [
        "error: 2 of 4 policies were not imported: shop/c, shop/d\n",
        "error: the import ended at policy shop/c, which may be applied or not: ",
    ] {
        assert!(run.stderr.contains(part), "{part}: {run}");
    }
}
