//! One running `kube-devops watch`: its log, what it serves, and the signals it gets.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// How long an answer may take before the server counts as stuck.
const ANSWER: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// A process of the binary, which is killed on drop.
pub(crate) struct Replica {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<Value>>>,
    stopped: bool,
}

impl Replica {
    /// Starts `watch` in a pod of this name, and returns when it listens.
    pub(crate) fn start(kubeconfig: &Path, pod: &str, arguments: &[&str]) -> Self {
        Self::run("watch", kubeconfig, pod, arguments)
    }

    /// Starts a long-running command in a pod of this name, and returns when it listens.
    pub(crate) fn run(command: &str, kubeconfig: &Path, pod: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kube-devops"))
            .args([command, "--listen", "127.0.0.1:0", "--log-format", "json", "--pod-name", pod])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let mut replica = Self { child, address: ([127, 0, 0, 1], 0).into(), log, stopped: false };
        let line = replica.until(Duration::from_secs(20), "starting");
        replica.address = line["listen"].as_str().unwrap().parse().unwrap();
        replica
    }

    /// Returns the lines with this message so far.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        let mut lines = self.log();
        lines.retain(|line| line["message"] == message);
        lines
    }

    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the first line with this message.
    pub(crate) fn until(&self, limit: Duration, message: &str) -> Value {
        let start = Instant::now();
        loop {
            if let Some(line) = self.lines(message).into_iter().next() {
                return line;
            }
            assert!(start.elapsed() < limit, "not within {limit:?}: {message}: {:#?}", self.log());
            sleep(POLL);
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what it is called as a holder of the Lease and a reporter of events.
    pub(crate) fn identity(&self) -> String {
        let line = self.until(ANSWER, "standing for leader");
        line["identity"].as_str().unwrap().to_owned()
    }

    /// Sends a request and returns the status and the body.
    pub(crate) fn request(&self, method: &str, path: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect_timeout(&self.address, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok((code.ok_or(io::ErrorKind::InvalidData)?, body.to_owned()))
    }

    /// Gets a path from a replica that is running.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.request("GET", path).unwrap_or_else(|error| panic!("GET {path}: {error}: {:#?}", self.log()))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.request("GET", "/readyz").is_ok_and(|(code, _)| code == 200)
    }

    /// Waits until everything has been listed once.
    pub(crate) fn synced(self) -> Self {
        let start = Instant::now();
        while !self.is_ready() {
            assert!(start.elapsed() < Duration::from_secs(20), "not ready: {:#?}", self.log());
            sleep(POLL);
        }
        self
    }

    pub(crate) fn scores(&self) -> Value {
        let (_, body) = self.get("/api/v1/scores");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    /// Returns the sum of the samples whose name and labels begin with `sample`.
    pub(crate) fn metric(&self, sample: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics");
        let samples = text.lines().filter(|line| line.starts_with(sample));
        samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).reduce(|a, b| a + b)
    }

    /// Tells whether it leads; one that doesn't answer doesn't.
    pub(crate) fn leads(&self) -> bool {
        self.request("GET", "/metrics").is_ok_and(|(_, text)| {
            text.lines().any(|line| line.starts_with("leader{") && line.ends_with(" 1"))
        })
    }

    pub(crate) fn signal(&mut self, signal: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success(), "kill {signal}");
        match signal {
            "-STOP" => self.stopped = true,
            "-CONT" => self.stopped = false,
            _ => {}
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Returns how it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for the end and returns how it ended.
    pub(crate) fn end(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(start.elapsed() < limit, "still running after {limit:?}: {:#?}", self.log());
            sleep(POLL);
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.iter().skip(log.len().saturating_sub(15)).map(Value::to_string).collect();
            eprintln!("--- {}\n{}", self.address, tail.join("\n"));
        }
        // It may have ended by itself; there is nothing left to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
