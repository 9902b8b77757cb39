//! A long-running process: tasks around a server, all of which end together. It has no dependency on their work.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;

use super::{Index, Phase, Readiness, Server, Shutdown, TaskError, Tasks, standard_routes};

/// The parts of a process.
#[derive(Debug)]
pub struct Service {
    /// The shutdown of the process.
    pub shutdown: Shutdown,
    /// The state behind `/readyz`.
    pub readiness: Readiness,
    /// The tasks, which run already.
    pub tasks: Tasks,
    server: Server,
}

impl Service {
    /// Returns a process that serves nothing yet.
    #[must_use]
    pub fn new(shutdown: Shutdown, server: Server) -> Self {
        Self {
            readiness: Readiness::new(shutdown.clone()),
            tasks: Tasks::new(shutdown.clone()),
            shutdown,
            server,
        }
    }

    /// Returns the address of the server.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Starts a task that never ends by itself; it is dropped in its phase of the shutdown.
    pub fn spawn(
        &mut self,
        name: &'static str,
        phase: Phase,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let (writes, reads) = (self.shutdown.triggered(), self.shutdown.draining());
        self.tasks.spawn(name, phase, async move {
            tokio::select! {
                () = writes, if phase == Phase::Writes => {}
                () = reads => {}
                () = task => {}
            }
            Ok::<_, Infallible>(())
        });
    }

    /// Serves health, metrics and the routes of `index` until the shutdown is over or a task fails.
    ///
    /// `render` returns the metrics, at each scrape.
    pub async fn run<E: Error + 'static>(
        self,
        index: Index,
        render: impl Fn() -> Result<String, E> + Clone + Send + Sync + 'static,
    ) -> Result<(), TaskError> {
        let Self { shutdown, readiness, mut tasks, server } = self;
        let routes = index.with(standard_routes(readiness, render));
        let stop = shutdown.draining();
        tasks.spawn("server", Phase::Reads, async move {
            server.serve(routes, stop).await;
            Ok::<_, Infallible>(())
        });
        tasks.run().await
    }
}
