//! One server of a control plane, under a shell that ends it with the test process.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Starts `$2...` with its state in `$1`, obeys the lines of standard input, and answers each with the pid.
///
/// Standard input is a pipe that only the test process holds. The kernel closes it even after `kill -9` or `exit`, when
/// no destructor runs, and the shell then ends the server and deletes its state. The shell ignores signals that a
/// terminal sends to the process group, because it has to outlive the tests, and a broken answer pipe must not end it.
/// It forgets a reaped pid, because another process may reuse it.
const SUPERVISOR: &str = r#"
trap '' HUP INT PIPE TERM
state=$1
shift
exec 2>>"$state/log"
start() { "$@" </dev/null >>"$state/log" 2>&1 & pid=$!; }
end() { [ -z "$pid" ] || { kill -KILL "$pid"; wait "$pid"; pid=; }; }
start "$@"
echo "$pid"
while read -r order; do
    case $order in
        START) [ -n "$pid" ] || start "$@" ;;
        KILL) end ;;
        *) [ -z "$pid" ] || kill -s "$order" "$pid" ;;
    esac
    echo "$pid"
done
end
rm -rf "$state"
rmdir "$(dirname "$state")"
"#;

/// The number of log lines in a failure message.
const TAIL: usize = 20;

/// A running server. It is killed on drop, and its state is deleted.
pub(crate) struct Server {
    state: PathBuf,
    supervisor: Mutex<Supervisor>,
}

struct Supervisor {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pid: String,
}

impl Server {
    /// Starts a binary with its state and its log in a directory, which is created if it is missing.
    pub(crate) fn start(binary: &Path, state: &Path, flags: &[String]) -> io::Result<Self> {
        fs::create_dir_all(state)?;
        let mut shell = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .args([state, binary])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let orders = shell.stdin.take();
        let answers = shell.stdout.take().map(BufReader::new).ok_or(io::ErrorKind::BrokenPipe)?;
        let mut supervisor = Supervisor { shell, orders, answers, pid: String::new() };
        supervisor.read_pid()?;
        Ok(Self { state: state.to_owned(), supervisor: Mutex::new(supervisor) })
    }

    /// Returns the pid, or an empty string after [`Server::kill`].
    pub(crate) fn pid(&self) -> String {
        self.with(|supervisor| supervisor.pid.clone())
    }

    /// Kills the server with SIGKILL and waits for its end. Its state stays.
    pub(crate) fn kill(&self) {
        self.order("KILL");
    }

    /// Restarts the server after [`Server::kill`] with the same flags and state.
    pub(crate) fn restart(&self) {
        self.order("START");
    }

    /// Stops the server with SIGSTOP: its connections stay open and get no answers.
    pub(crate) fn pause(&self) {
        self.order("STOP");
    }

    /// Resumes the server after [`Server::pause`].
    pub(crate) fn resume(&self) {
        self.order("CONT");
    }

    /// Returns the path of the log and its last lines.
    pub(crate) fn log_tail(&self) -> String {
        let path = self.state.join("log");
        let log = fs::read(&path).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        format!("--- {}\n{}\n", path.display(), lines[lines.len().saturating_sub(TAIL)..].join("\n"))
    }

    fn order(&self, order: &str) {
        self.with(|supervisor| supervisor.obey(order)).unwrap_or_else(|error| {
            panic!("the supervisor does not obey {order}: {error}\n{}", self.log_tail())
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Supervisor) -> T) -> T {
        act(&mut self.supervisor.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Supervisor {
    fn obey(&mut self, order: &str) -> io::Result<()> {
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(orders, "{order}")?;
        self.read_pid()
    }

    fn read_pid(&mut self) -> io::Result<()> {
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.trim().clone_into(&mut self.pid);
        Ok(())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.orders.take());
        // Waits for the cleanup to finish. If waiting fails, the shell is gone already.
        let _ = self.shell.wait();
    }
}
