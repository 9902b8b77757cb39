//! The tasks of a process, by name: the first that ends unasked ends them all, and a shutdown ends them in order.
//! Knows nothing of what they do.

use super::Shutdown;
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The phase of a shutdown in which a task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The first phase: writers, watches and the elector, which wait for [`Shutdown::triggered`].
    Writes,
    /// Once those have ended: servers, which wait for [`Shutdown::draining`].
    Reads,
}

/// The tasks that make up a process.
#[derive(Debug)]
pub struct Tasks {
    set: JoinSet<Result<(), BoxError>>,
    names: HashMap<Id, (&'static str, Phase)>,
    shutdown: Shutdown,
    /// Time limit of the shutdown.
    grace: Duration,
}

/// A task that didn't end as it should.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// It ended although nobody asked it to.
    #[error("task {name} ended unexpectedly")]
    Ended {
        /// The task.
        name: &'static str,
    },
    /// It failed.
    #[error("task {name} failed")]
    Failed {
        /// The task.
        name: &'static str,
        /// The error.
        source: BoxError,
    },
    /// It panicked.
    #[error("task {name} panicked")]
    Panicked {
        /// The task.
        name: &'static str,
        /// The panic.
        source: JoinError,
    },
}

impl TaskError {
    /// Returns a bounded label for metrics and events.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::Ended { .. } => "ended",
            Self::Failed { .. } => "failed",
            Self::Panicked { .. } => "panicked",
        }
    }
}

impl Tasks {
    /// Usual time limit of a shutdown. [`Phase::Writes`] gets three fifths of it.
    pub const GRACE: Duration = Duration::from_secs(5);

    /// Makes an empty set, whose tasks end on this shutdown.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { set: JoinSet::new(), names: HashMap::new(), shutdown, grace: Self::GRACE }
    }

    /// Sets the time limit of the shutdown. The time of [`Phase::Writes`] stays.
    pub fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// Starts a task, which has to run until its phase of the shutdown. Must be called inside a tokio runtime.
    pub fn spawn<E: Into<BoxError>>(
        &mut self,
        name: &'static str,
        phase: Phase,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let handle = self.set.spawn(async move { task.await.map_err(Into::into) });
        self.names.insert(handle.id(), (name, phase));
    }

    /// Runs the tasks until a shutdown is over, or until one ends without it: then all stop where they are.
    pub async fn run(mut self) -> Result<(), TaskError> {
        let triggered = self.shutdown.triggered();
        tokio::select! {
            biased;
            () = triggered => {}
            // Pending for good in an empty set, in which nothing can end.
            Some(ended) = self.set.join_next_with_id() => return Err(self.unexpected(ended)),
        }
        let start = Instant::now();
        let writes = self.end(Some(Phase::Writes), start + Self::GRACE * 3 / 5).await;
        self.shutdown.drain();
        let reads = self.end(None, start + self.grace).await;
        writes.and(reads)
    }

    /// Waits until the tasks of a phase, or of any, have ended; the first failure counts.
    async fn end(&mut self, phase: Option<Phase>, deadline: Instant) -> Result<(), TaskError> {
        let mut outcome = Ok(());
        let left = |names: &HashMap<_, (&'static str, Phase)>| -> Vec<&'static str> {
            names
                .values()
                .filter(|(_, of)| phase.is_none_or(|phase| phase == *of))
                .map(|(name, _)| *name)
                .collect()
        };
        while !left(&self.names).is_empty() {
            match timeout_at(deadline, self.set.join_next_with_id()).await {
                Ok(Some(ended)) => match self.unexpected(ended) {
                    TaskError::Ended { .. } => {}
                    error => outcome = outcome.and(Err(error)),
                },
                Ok(None) => break,
                Err(_) => {
                    warn!(tasks = ?left(&self.names), "tasks did not stop in time; abandoning them");
                    break;
                }
            }
        }
        outcome
    }

    fn unexpected(&mut self, ended: Result<(Id, Result<(), BoxError>), JoinError>) -> TaskError {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let name = self.names.remove(&id).map_or("unknown", |(name, _)| name);
        match ended {
            Ok((_, Ok(()))) => TaskError::Ended { name },
            Ok((_, Err(source))) => TaskError::Failed { name, source },
            Err(source) => TaskError::Panicked { name, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::io;
    use tokio::time::sleep;

    type Outcome = Result<(), io::Error>;

    fn tasks() -> (Shutdown, Tasks) {
        let shutdown = Shutdown::new();
        (shutdown.clone(), Tasks::new(shutdown))
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_task_that_ends_unasked_is_named() {
        for (task, text) in
            [(Ok(()), "task watch ended unexpectedly"), (Err(io::Error::other("x")), "task watch failed")]
        {
            let (_shutdown, mut tasks) = tasks();
            tasks.spawn("server", Phase::Reads, pending::<Outcome>());
            tasks.spawn("watch", Phase::Writes, async { task });
            assert_eq!(tasks.run().await.unwrap_err().to_string(), text);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_the_process_too() {
        let (_shutdown, mut tasks) = tasks();
        tasks.spawn("watch", Phase::Writes, async {
            if true { panic!("on purpose") } else { Outcome::Ok(()) }
        });
        assert_eq!(tasks.run().await.unwrap_err().to_string(), "task watch panicked");
    }

    #[tokio::test(start_paused = true)]
    async fn servers_go_on_until_writers_have_ended() {
        let (shutdown, mut tasks) = tasks();
        let (triggered, draining, start) = (shutdown.triggered(), shutdown.draining(), Instant::now());
        tasks.spawn("elector", Phase::Writes, async move {
            triggered.await;
            sleep(Duration::from_secs(1)).await;
            Outcome::Ok(())
        });
        tasks.spawn("server", Phase::Reads, async move {
            draining.await;
            assert_eq!(start.elapsed().as_secs(), 1);
            Outcome::Ok(())
        });
        shutdown.trigger();
        tasks.run().await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_takes_no_longer_than_its_grace() {
        let (shutdown, mut tasks) = tasks();
        let (draining, start) = (shutdown.draining(), Instant::now());
        tasks.spawn("stuck writer", Phase::Writes, pending::<Outcome>());
        tasks.spawn("stuck server", Phase::Reads, pending::<Outcome>());
        tasks.spawn("server", Phase::Reads, async move {
            draining.await;
            assert_eq!(start.elapsed().as_secs(), 3);
            Outcome::Ok(())
        });
        shutdown.trigger();
        tasks.run().await.unwrap();
        assert_eq!(start.elapsed(), Tasks::GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_during_the_shutdown_is_reported() {
        let (shutdown, mut tasks) = tasks();
        let triggered = shutdown.triggered();
        tasks.spawn("elector", Phase::Writes, async move {
            triggered.await;
            Err(io::Error::other("no"))
        });
        shutdown.trigger();
        assert_eq!(tasks.run().await.unwrap_err().to_string(), "task elector failed");
    }
}
