//! What long-running commands share: their flags, and how logs, election and server are started from these.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use clap::value_parser;
use jiff::SignedDuration;
use tracing::level_filters::LevelFilter;
use tracing::{error, info};

use super::ExitStatus;
use super::args::{ConnectArgs, lease_name, namespace};
use crate::cluster::{self, Cluster, ConnectOptions};
use crate::leader::{Elector, LeaderCollector, Leadership, Settings};
use crate::runtime::{Listen, Phase, Readiness, Server, Shutdown, Tasks, standard_routes};
use crate::telemetry::{LogFormat, Metrics, logging};

/// How much longer than a watch lasts nothing may come on its connection. Within a watch the API server may be silent to the
/// end: what it says about every minute it leaves out where nothing happened at all.
const MARGIN: Duration = Duration::from_secs(20);

/// What is logged, and how.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Logs")]
struct LogArgs {
    /// How log lines look on stderr [default: text on a terminal, else json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,

    /// What is logged: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LevelFilter,

    /// Log filter directives in place of the level, such as `info,kube_devops=debug`
    #[arg(long = "log-filter", env = "RUST_LOG", value_name = "DIRECTIVES")]
    directives: Option<String>,
}

/// The Lease that replicas compete for.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Leader election")]
struct LeaseArgs {
    /// The namespace of the Lease [default: the pod's own, else default]
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    lease_namespace: Option<String>,

    /// The name of the Lease [default: kube-devops- and the command]
    #[arg(long, value_name = "NAME", value_parser = lease_name)]
    lease_name: Option<String>,

    /// How long others wait for a leader that has gone silent
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    lease_duration: Duration,

    /// How long after its last renewal a leader goes on
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    lease_renew_deadline: Duration,

    /// How often a leader renews
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    lease_retry_period: Duration,

    /// Lead without asking: for one replica only, as on a laptop
    #[arg(long)]
    no_leader_election: bool,

    /// The pod's name, of which the holder's identity is made
    #[arg(long, env = "HOSTNAME", value_name = "NAME", default_value = "kube-devops", hide = true)]
    pod_name: String,
}

/// What every long-running command is told.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ServiceArgs {
    #[command(flatten)]
    logs: LogArgs,

    #[command(flatten)]
    lease: LeaseArgs,

    #[command(flatten)]
    connect: ConnectArgs,

    /// After how many seconds a watch is renewed, sooner in tests
    #[arg(long, value_name = "SECONDS", default_value_t = 100, hide = true)]
    #[arg(value_parser = value_parser!(u32).range(1..295))]
    watch_seconds: u32,
}

/// What a long-running command is made of: tasks around a server, all of which end together.
pub(super) struct Service {
    /// The cluster, whose watches notice when nothing comes any more.
    pub(super) cluster: Cluster,
    /// The end of it all.
    pub(super) shutdown: Shutdown,
    /// What is served at `/metrics`.
    pub(super) metrics: Metrics,
    /// What is served at `/readyz`.
    pub(super) readiness: Readiness,
    /// What runs.
    pub(super) tasks: Tasks,
    server: Server,
}

impl Service {
    /// Takes signals over, binds the address and connects, in this order: what can fail at once does so first.
    async fn start(listen: Listen, options: &ConnectOptions) -> anyhow::Result<Self> {
        let shutdown = Shutdown::on_signals()?;
        let server = Server::bind(listen).await?;
        let cluster = cluster::connect(options).await?;
        let (version, listen) = (env!("CARGO_PKG_VERSION"), server.address());
        info!(version, server = cluster.server, %listen, "starting");
        Ok(Self {
            cluster,
            metrics: Metrics::with_process()?,
            readiness: Readiness::new(shutdown.clone()),
            tasks: Tasks::new(shutdown.clone()),
            shutdown,
            server,
        })
    }

    /// Starts a task that has no end of its own; it is dropped in its phase of the shutdown.
    pub(super) fn spawn(
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

    /// Serves health, metrics and what else the command has, until the shutdown is over or a task fails.
    pub(super) async fn run(self, routes: Router) -> anyhow::Result<ExitStatus> {
        let Self { shutdown, metrics, readiness, mut tasks, server, .. } = self;
        let all = standard_routes(readiness, move || metrics.render()).merge(routes);
        let stop = shutdown.draining();
        tasks.spawn("server", Phase::Reads, async move {
            server.serve(all, stop).await;
            Ok::<_, Infallible>(())
        });
        tasks.run().await?;
        Ok(ExitStatus::Clean)
    }
}

impl ServiceArgs {
    /// The namespaces that the process is at home in: the pod's, and the one that its Lease is said to be in.
    pub(super) fn own_namespaces(&self, cluster: &Cluster) -> impl Iterator<Item = String> + use<> {
        let pod = cluster.own_namespace().map(str::to_owned);
        self.lease.lease_namespace.clone().into_iter().chain(pod)
    }

    /// The namespace in which the command keeps what its replicas share.
    pub(super) fn home<'a>(&'a self, cluster: &'a Cluster) -> &'a str {
        self.lease.lease_namespace.as_deref().unwrap_or(cluster.home())
    }

    /// Starts to log, and runs the command: one thread for what it watches, and one for whoever asks.
    pub(super) fn run(
        &self,
        verbosity: Option<LevelFilter>,
        listen: Listen,
        command: impl AsyncFnOnce(Service) -> anyhow::Result<ExitStatus>,
    ) -> anyhow::Result<ExitStatus> {
        self.logs.start(verbosity)?;
        let options = ConnectOptions {
            read_timeout: Some(Duration::from_secs(self.watch_seconds.into()) + MARGIN),
            watch_seconds: Some(self.watch_seconds),
            ..self.connect.options()
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let outcome = runtime.block_on(async { command(Service::start(listen, &options).await?).await });
        match outcome {
            // Whatever reads such a log should be able to read its last line too.
            Err(failure) if self.logs.format() == LogFormat::Json => {
                error!(error = format!("{failure:#}"), "ended");
                Ok(ExitStatus::Failed)
            }
            outcome => outcome,
        }
    }

    /// Starts to campaign for the Lease, which is named `name` unless a flag says otherwise, and returns the
    /// leadership and this replica's identity.
    pub(super) fn campaign(&self, name: &str, service: &mut Service) -> anyhow::Result<(Leadership, String)> {
        let lease = &self.lease;
        let Service { cluster, metrics, shutdown, tasks, .. } = service;
        let name = lease.lease_name.as_deref().unwrap_or(name);
        let namespace = self.home(cluster);
        let settings = Settings {
            lease_duration: lease.lease_duration,
            renew_deadline: lease.lease_renew_deadline,
            retry_period: lease.lease_retry_period,
            ..Settings::new(namespace, name, &lease.pod_name)
        };
        let identity = settings.identity.clone();
        let leadership = if lease.no_leader_election {
            info!("no leader election: this replica writes");
            Leadership::always()
        } else {
            info!(lease = name, namespace, identity, "standing for leader");
            let (elector, leadership) = Elector::new(cluster.client.clone(), settings)?;
            tasks.spawn("leader election", Phase::Writes, elector.run(shutdown.triggered()));
            leadership
        };
        let collector = LeaderCollector::new(leadership.clone(), name).context("the metric leader")?;
        metrics.add(Box::new(collector))?;
        Ok((leadership, identity))
    }
}

impl LogArgs {
    fn format(&self) -> LogFormat {
        self.log_format.unwrap_or_default()
    }

    /// Starts logging; `verbosity` is the level that `-v` asks for, if it does.
    fn start(&self, verbosity: Option<LevelFilter>) -> anyhow::Result<()> {
        let level = verbosity.map_or(self.log_level, |level| level.max(self.log_level));
        Ok(logging::start(self.format(), level, self.directives.as_deref())?)
    }
}

/// Reads an address to listen on: a port on all addresses, or address and port.
pub(super) fn listen(text: &str) -> Result<Listen, ListenError> {
    let port = text.strip_prefix(':').unwrap_or(text);
    match port.parse() {
        Ok(port) => Ok(Listen::Port(port)),
        Err(_) => text.parse().map(Listen::Address).map_err(|_| ListenError),
    }
}

/// Why an address can't be read.
#[derive(Debug, thiserror::Error)]
#[error("not an address: give a port such as :8080, or address and port such as 127.0.0.1:8080")]
pub(super) struct ListenError;

/// Reads a time such as `15s`.
fn duration(text: &str) -> Result<Duration, DurationError> {
    let signed = text.parse::<SignedDuration>().map_err(|_| DurationError)?;
    Duration::try_from(signed).map_err(|_| DurationError)
}

/// Why a time can't be read.
#[derive(Debug, thiserror::Error)]
#[error("not a time: give a number with a unit, such as 500ms, 15s or 1m")]
struct DurationError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_all_of_it() {
        for text in [":8080", "8080"] {
            assert_eq!(listen(text).unwrap(), Listen::Port(8080), "{text}");
        }
        for text in ["127.0.0.1:0", "[::1]:9", "[::]:8080"] {
            assert_eq!(listen(text).unwrap(), Listen::Address(text.parse().unwrap()), "{text}");
        }
        for text in ["", ":", "localhost", "1.2.3.4", ":99999"] {
            assert!(listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_needs_a_unit_and_no_sign() {
        assert_eq!(duration("1m30s").unwrap(), Duration::from_secs(90));
        for text in ["", "15", "-1s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
