//! A `kube-devops` process: its log, its HTTP endpoints and its signals.

use serde_json::Value;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// The time limit of an HTTP answer.
const ANSWER: Duration = Duration::from_secs(5);
/// The time limit of quick actions on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// Kills `$1` at the end of standard input, unless it reads a line first. Only the test process holds the other end of
/// the pipe, so the kernel closes it even if that process is killed.
const GUARD: &str = r#"trap '' HUP INT TERM; read -r line || kill -KILL "$1""#;

/// A process of the binary. It is killed on drop, or at the latest when the test process ends.
pub(crate) struct Process {
    child: Child,
    guard: Option<Child>,
    log: Arc<Mutex<Vec<Value>>>,
    reader: Option<JoinHandle<()>>,
    stopped: bool,
}

impl Process {
    /// Starts a long-running command in a pod of this name. Returns when it listens.
    pub(crate) fn start(command: &str, kubeconfig: &Path, pod: &str, arguments: &[&str]) -> Self {
        let process = Self::spawn(command, kubeconfig, pod, arguments);
        process.until(PATIENCE, "starting");
        process
    }

    /// Starts a long-running command in a pod of this name. Returns at once.
    pub(crate) fn spawn(command: &str, kubeconfig: &Path, pod: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kube-devops"))
            .args(command.split(' '))
            .args(["--listen", "127.0.0.1:0", "--log-format", "json", "--pod-name", pod])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard", &child.id().to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { child, guard: Some(guard), log, reader: Some(reader), stopped: false }
    }

    /// Returns the lines with this message so far.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        let mut lines = self.log();
        lines.retain(|line| line["message"] == message);
        lines
    }

    /// Returns the log so far, or all of it if the process has ended.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the text of the log. Only the order of fields may differ.
    pub(crate) fn text(&self) -> String {
        self.log().iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
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

    /// Returns the peak resident memory, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Returns the listening address once there is one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let line = log.iter().find(|line| line["message"] == "starting")?;
        line["listen"].as_str()?.parse().ok()
    }

    /// Returns the name of this replica in the Lease and in events.
    pub(crate) fn identity(&self) -> String {
        let line = self.until(ANSWER, "standing for leader");
        line["identity"].as_str().unwrap().to_owned()
    }

    /// Sends a request and returns the status and the body.
    pub(crate) fn request(&self, method: &str, path: &str) -> io::Result<(u16, String)> {
        let address = self.address().ok_or(io::ErrorKind::NotConnected)?;
        let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok((code.ok_or(io::ErrorKind::InvalidData)?, body.to_owned()))
    }

    /// Gets a path. Panics if the process doesn't answer.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.request("GET", path).unwrap_or_else(|error| panic!("GET {path}: {error}: {:#?}", self.log()))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.request("GET", "/readyz").is_ok_and(|(code, _)| code == 200)
    }

    /// Waits until the first list is complete.
    pub(crate) fn wait_until_ready(&self) {
        let start = Instant::now();
        while !self.is_ready() {
            assert!(start.elapsed() < PATIENCE, "not ready: {:#?}", self.log());
            sleep(POLL);
        }
    }

    /// Waits until the first list is complete, and returns the process.
    pub(crate) fn synced(self) -> Self {
        self.wait_until_ready();
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

    /// Returns true if the process leads; false if it doesn't answer.
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

    /// Returns the exit status if the process has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().unwrap()?;
        self.dismiss();
        Some(status)
    }

    /// Waits for the end of the process and returns its exit status.
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

    /// Ends the process with SIGTERM. Returns its exit code, the time that it took and the whole log.
    pub(crate) fn terminate(mut self) -> (Option<i32>, Duration, String) {
        let start = Instant::now();
        self.signal("-TERM");
        let status = self.end(PATIENCE);
        (status.code(), start.elapsed(), self.text())
    }

    /// Kills the process with SIGKILL and waits for its end.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Reads the rest of an ended process's log and dismisses the guard, because the pid may be reused soon.
    fn dismiss(&mut self) {
        if let Some(reader) = self.reader.take() {
            // The reader fails only by a panic, and a second panic would hide the first.
            let _ = reader.join();
        }
        if let Some(mut guard) = self.guard.take() {
            let _ = guard.stdin.take().map(|mut input| input.write_all(b"\n"));
            let _ = guard.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.dismiss();
        if thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.iter().skip(log.len().saturating_sub(15)).map(Value::to_string).collect();
            eprintln!("--- {}\n{}", self.pid(), tail.join("\n"));
        }
    }
}
