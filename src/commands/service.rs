//! The start of a long-running command: logs, signals, server, cluster and leader election, from flags.

use std::time::Duration;

use anyhow::Context as _;
use clap::value_parser;
use tracing::level_filters::LevelFilter;
use tracing::{error, info};

use super::ExitStatus;
use super::args::{ConnectArgs, LeaseArgs, LogArgs};
use crate::cluster::{self, ApiRequests, Cluster, ConnectOptions};
use crate::leader::{Elector, LeaderCollector, Leadership};
use crate::runtime::{Index, Listen, Phase, Server, Service, Shutdown};
use crate::telemetry::{LogFormat, Metrics};

/// Read-timeout slack beyond the watch timeout: an idle watch may send nothing until it ends.
const MARGIN: Duration = Duration::from_secs(20);

/// Flags of every long-running command.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ServiceArgs {
    #[command(flatten)]
    logs: LogArgs,

    #[command(flatten)]
    pub(super) lease: LeaseArgs,

    #[command(flatten)]
    connect: ConnectArgs,

    /// Seconds after which a watch is renewed; tests use less
    #[arg(long, value_name = "SECONDS", default_value_t = 100, hide = true)]
    #[arg(value_parser = value_parser!(u32).range(1..295))]
    watch_seconds: u32,
}

/// A long-running command that has connected and does nothing yet.
pub(super) struct Live {
    /// The cluster; its watches notice a connection on which nothing arrives.
    pub(super) cluster: Cluster,
    /// The metrics behind `/metrics`.
    pub(super) metrics: Metrics,
    /// The tasks and the server.
    pub(super) service: Service,
}

impl Live {
    /// Takes over signals, binds the address and connects, in this order: the steps that can fail at once go first.
    async fn start(listen: Listen, options: &ConnectOptions) -> anyhow::Result<Self> {
        let shutdown = Shutdown::on_signals()?;
        let service = Service::new(shutdown, Server::bind(listen).await?);
        let metrics = Metrics::with_process()?;
        let requests = metrics.register(ApiRequests::new().context("the metric of requests")?)?;
        let options = ConnectOptions { requests: Some(requests), ..options.clone() };
        let cluster = cluster::connect(&options).await?;
        info!(version = env!("CARGO_PKG_VERSION"), server = cluster.server, listen = %service.address(), "starting");
        Ok(Self { cluster, metrics, service })
    }

    /// Serves until the shutdown is over or a task fails; `index` lists the routes of the command itself.
    pub(super) async fn run(self, index: Index) -> anyhow::Result<ExitStatus> {
        let metrics = self.metrics;
        self.service.run(index, move || metrics.render()).await?;
        Ok(ExitStatus::Clean)
    }
}

impl ServiceArgs {
    /// Returns the namespaces that the process itself uses: its pod's and its Lease's.
    pub(super) fn own_namespaces(&self, cluster: &Cluster) -> impl Iterator<Item = String> + use<> {
        let pod = cluster.own_namespace().map(str::to_owned);
        self.lease.namespace.clone().into_iter().chain(pod)
    }

    /// Starts logging and runs the command on two threads: one for watches, one for requests.
    pub(super) fn run(
        &self,
        verbosity: Option<LevelFilter>,
        listen: Listen,
        command: impl AsyncFnOnce(Live) -> anyhow::Result<ExitStatus>,
    ) -> anyhow::Result<ExitStatus> {
        self.logs.start(verbosity)?;
        let options = ConnectOptions {
            read_timeout: Some(Duration::from_secs(self.watch_seconds.into()) + MARGIN),
            watch_seconds: Some(self.watch_seconds),
            ..self.connect.options()
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        match runtime.block_on(async { command(Live::start(listen, &options).await?).await }) {
            // A log in JSON stays JSON to its last line.
            Err(failure) if self.logs.format() == LogFormat::Json => {
                error!(error = format!("{failure:#}"), "ended");
                Ok(ExitStatus::Failed)
            }
            outcome => outcome,
        }
    }

    /// Starts the election for a Lease, and returns the leadership and this replica's identity.
    pub(super) fn campaign(&self, name: &str, live: &mut Live) -> anyhow::Result<(Leadership, String)> {
        let settings = self.lease.settings(&live.cluster, name);
        let (lease, identity) = (settings.name.clone(), settings.identity.clone());
        let leadership = if self.lease.disabled {
            info!("no leader election: this replica writes");
            Leadership::always()
        } else {
            info!(lease, namespace = settings.namespace, identity, "standing for leader");
            let (elector, leadership) = Elector::new(live.cluster.client.clone(), settings)?;
            let stop = live.service.shutdown.triggered();
            live.service.tasks.spawn("leader election", Phase::Writes, elector.run(stop));
            leadership
        };
        let collector = LeaderCollector::new(leadership.clone(), &lease).context("the metric leader")?;
        live.metrics.add(Box::new(collector))?;
        Ok((leadership, identity))
    }
}
