//! The shutdown of a process: a signal starts it, and a second signal exits at once. Has no dependency on the tasks.

use std::future::Future;
use std::io;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The two phases of a shutdown, each a moment that tasks wait for; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    triggered: CancellationToken,
    draining: CancellationToken,
}

impl Shutdown {
    /// Makes a shutdown that only [`Shutdown::trigger`] begins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a shutdown that SIGTERM or Ctrl+C begins; a second signal ends the process at once, with exit status 143
    /// or 130. Must be called inside a tokio runtime.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let begun = shutdown.clone();
        let mut signals = Signals::listen()?;
        tokio::spawn(async move {
            let signal = signals.next().await;
            info!(signal = signal.name(), "shutting down; another signal ends it at once");
            begun.trigger();
            let signal = signals.next().await;
            warn!(signal = signal.name(), "ended before the shutdown was over");
            exit(signal.status());
        });
        Ok(shutdown)
    }

    /// Begins the shutdown: no new write starts.
    pub fn trigger(&self) {
        self.triggered.cancel();
    }

    /// Returns true if the shutdown has begun.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.triggered.is_cancelled()
    }

    /// Waits until the shutdown begins.
    pub fn triggered(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.triggered.clone().cancelled_owned()
    }

    /// Waits until writes are over and servers should end too.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.draining.clone().cancelled_owned()
    }

    pub(super) fn drain(&self) {
        self.draining.cancel();
    }
}

#[expect(
    clippy::exit,
    reason = "a second signal asks for exactly this; nothing that a destructor does may delay it"
)]
fn exit(status: i32) -> ! {
    std::process::exit(status)
}

#[derive(Clone, Copy, Debug)]
enum Signal {
    Interrupt,
    #[cfg(unix)]
    Terminate,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            #[cfg(unix)]
            Self::Terminate => "SIGTERM",
        }
    }

    fn status(self) -> i32 {
        match self {
            Self::Interrupt => 130,
            #[cfg(unix)]
            Self::Terminate => 143,
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            Some(()) = self.terminate.recv() => Signal::Terminate,
            else => std::future::pending().await,
        }
    }
}

#[cfg(windows)]
struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
}

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    async fn next(&mut self) -> Signal {
        match self.interrupt.recv().await {
            Some(()) => Signal::Interrupt,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::{Child, ChildStdout, Command, Stdio};

    /// Not a test of its own: the process that the others send signals to.
    #[tokio::test]
    #[ignore = "waits for signals"]
    async fn process_that_waits_for_signals() {
        let shutdown = Shutdown::on_signals().unwrap();
        println!("\nlistening");
        shutdown.triggered().await;
        println!("\ntriggered");
        std::future::pending::<()>().await;
    }

    struct Waiting(Child, BufReader<ChildStdout>);

    impl Waiting {
        fn start() -> Self {
            let name = "runtime::shutdown::tests::process_that_waits_for_signals";
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--ignored", "--nocapture"])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let output = BufReader::new(child.stdout.take().unwrap());
            let mut waiting = Self(child, output);
            waiting.says("listening");
            waiting
        }

        fn says(&mut self, text: &str) {
            assert!(self.1.by_ref().lines().any(|line| line.unwrap() == text), "it should say {text}");
        }

        fn signal(&self, signal: &str) {
            assert!(
                Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap().success()
            );
        }
    }

    fn check(first: &str, second: &str, status: i32) {
        let mut waiting = Waiting::start();
        waiting.signal(first);
        waiting.says("triggered");
        waiting.signal(second);
        assert_eq!(waiting.0.wait().unwrap().code(), Some(status));
    }

    #[test]
    fn the_first_signal_begins_the_shutdown_and_the_second_ends_the_process() {
        check("-TERM", "-TERM", 143);
        check("-TERM", "-INT", 130);
        check("-INT", "-INT", 130);
    }
}
