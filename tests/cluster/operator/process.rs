//! `kube-devops` as a process of its own, which is gone at the latest when the test process is.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `$@` and tells its pid, then how it ended. Standard input is a pipe that only the test process holds, so that
/// the kernel closes it whatever becomes of that; at its end the process is killed.
const SUPERVISOR: &str = r#"
trap '' HUP INT TERM
exec 3<&0
"$@" </dev/null 3<&- >/dev/null & pid=$!
echo "$pid"
(cat <&3 >/dev/null; kill -KILL "$pid") >/dev/null 2>&1 & guard=$!
wait "$pid"
code=$?
kill "$guard"
echo "$code"
"#;

/// How long a process may take for what should need a moment.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running `kube-devops`, which is killed on drop.
pub(crate) struct Process {
    shell: Child,
    input: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pid: String,
    log: PathBuf,
    _directory: tempfile::TempDir,
}

impl Process {
    /// Starts `kube-devops` as the pod `name`, serving on a port of its own.
    pub(crate) fn start(name: &str, kubeconfig: &Path, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("log");
        let mut shell = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor", env!("CARGO_BIN_EXE_kube-devops")])
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--log-format", "json", "--kubeconfig"])
            .arg(kubeconfig)
            .env("HOSTNAME", name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log file"))
            .spawn()
            .expect("a shell");
        let input = shell.stdin.take();
        let mut answers = BufReader::new(shell.stdout.take().expect("a pipe"));
        let pid = line(&mut answers);
        Self { shell, input, answers, pid, log, _directory: directory }
    }

    /// Ends it with SIGKILL, and returns when it is gone.
    pub(crate) fn kill(mut self) {
        self.signal("KILL");
        line(&mut self.answers);
    }

    /// Ends it with SIGTERM, and returns its exit status and how long it took.
    pub(crate) fn terminate(mut self) -> (String, Duration, String) {
        let start = Instant::now();
        self.signal("TERM");
        let status = line(&mut self.answers);
        (status, start.elapsed(), self.log())
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args(["-s", signal, &self.pid]).status().expect("kill").success());
    }

    /// Everything that it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The most memory that it has had, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("a process");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
        peak.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Waits until it has seen everything.
    pub(crate) fn wait_until_ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.get("/readyz").is_none_or(|(status, _)| status != 200) {
            assert!(Instant::now() < deadline, "not ready: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// One sample of its metrics, such as `leader{name="x"}`.
    pub(crate) fn metric(&self, sample: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics")?;
        text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
    }

    /// The status and body of what it serves; `None` while it doesn't.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let address = self.log().lines().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line.pointer("/listen").or(line.pointer("/fields/listen"))?.as_str().map(str::to_owned)
        })?;
        let mut stream = TcpStream::connect(address).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some((status, body.to_owned()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("--- {}\n{}", self.pid, self.log());
        }
        drop(self.input.take());
        // Only to leave nothing half done behind.
        let _ = self.shell.wait();
    }
}

fn line(answers: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).expect("an answer");
    line.trim().to_owned()
}
