//! `kube-devops watch`: scores that follow the watch stream, served over HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ApiResource;
use kube::runtime::events::{Recorder, Reporter};
use tracing::info;
use tracing::level_filters::LevelFilter;

use super::ExitStatus;
use super::args::ConnectArgs;
use super::service::{LeaseArgs, LogArgs, listen};
use crate::cluster::{self, ConnectOptions, WatchRequest};
use crate::governance::{Scope, parse_selector};
use crate::observer::{self, Observer, ObserverMetrics, ScoreCollector};
use crate::policy::{EffectivePolicy, SystemNamespaces};
use crate::runtime::{Phase, Readiness, Server, Shutdown, Tasks, standard_routes};
use crate::telemetry::Metrics;

/// How long a watch may hear nothing: the API server says about every minute how far it is.
const SILENCE: Duration = Duration::from_secs(120);

/// Keep the score of a cluster up to date from its watch stream, and serve it to Prometheus and others.
///
/// Serves /metrics, /api/v1/scores, /healthz and /readyz. Of several replicas all observe and serve; the leader alone
/// writes events. Ends with status 0 on SIGTERM or Ctrl+C, and with 2 when it can't go on.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Observe this namespace only, system namespace or not (repeatable)
    #[arg(short, long, value_name = "NAME")]
    namespace: Vec<String>,

    /// Observe all namespaces, which is the default
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Observe only pods with these labels, such as app=web,tier!=cache
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,

    /// Observe system namespaces (kube-*, *-system, monitoring, ...) too
    #[arg(long)]
    include_system: bool,

    /// Count this namespace as a system namespace too (repeatable)
    #[arg(long, value_name = "NAME")]
    system_namespace: Vec<String>,

    /// Where to serve: a port, or address and port
    #[arg(long, value_name = "ADDR", default_value = ":8080", value_parser = listen)]
    listen: SocketAddr,

    #[command(flatten)]
    logs: LogArgs,

    #[command(flatten)]
    lease: LeaseArgs,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &Args, verbosity: Option<LevelFilter>) -> anyhow::Result<ExitStatus> {
    args.logs.start(verbosity)?;
    let scope = args.scope()?;
    // One thread for the watch and one for whoever asks.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(args, scope))
}

impl Args {
    fn scope(&self) -> anyhow::Result<Scope> {
        // The API server selects by label; here the selector is only checked.
        self.selector.as_deref().map(parse_selector).transpose().context("--selector")?;
        let mut namespaces = if self.all_namespaces { Vec::new() } else { self.namespace.clone() };
        namespaces.sort();
        namespaces.dedup();
        Ok(Scope {
            namespaces,
            include_system: self.include_system,
            system: SystemNamespaces::with(self.system_namespace.clone()),
            selector: None,
        })
    }

    /// One watch of all pods, or one for each namespace that was asked for.
    fn requests(&self, scope: &Scope) -> Vec<WatchRequest> {
        let request = |namespace| WatchRequest {
            resource: ApiResource::erase::<Pod>(&()),
            namespace,
            selector: self.selector.clone(),
        };
        if scope.namespaces.is_empty() {
            return vec![request(None)];
        }
        scope.namespaces.iter().map(|namespace| request(Some(namespace.clone()))).collect()
    }
}

async fn serve(args: &Args, scope: Scope) -> anyhow::Result<ExitStatus> {
    let shutdown = Shutdown::on_signals()?;
    let server = Server::bind(args.listen).await?;
    let options = ConnectOptions { read_timeout: Some(SILENCE), ..args.connect.options() };
    let cluster = cluster::connect(&options).await?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        server = cluster.server,
        listen = %server.address(),
        "watching pods"
    );
    let metrics = Metrics::with_process()?;
    let readiness = Readiness::new(shutdown.clone());
    let mut tasks = Tasks::new(shutdown.clone());
    let (leadership, identity) =
        args.lease.campaign("kube-devops-watch", &cluster, &metrics, &shutdown, &mut tasks)?;

    let requests = args.requests(&scope);
    let counters = ObserverMetrics::register(&metrics)?;
    #[expect(clippy::disallowed_methods, reason = "the edge at which the clock is handed in")]
    let clock = Timestamp::now;
    let observer =
        Arc::new(Observer::new(EffectivePolicy::default(), scope, requests.len(), counters, clock));
    ScoreCollector::register(&metrics, Arc::clone(&observer))?;
    for request in requests {
        let (observer, cluster, stop) = (Arc::clone(&observer), cluster.clone(), shutdown.triggered());
        let unready = readiness.register("pods");
        tasks.spawn("watch", Phase::Writes, async move {
            until(stop, observer::observe(&observer, &cluster, request, unready)).await
        });
    }

    let reporter = Reporter { controller: "kube-devops-watch".to_owned(), instance: Some(identity) };
    let recorder = Recorder::new(cluster.client.clone(), reporter);
    let (observed, stop) = (Arc::clone(&observer), shutdown.draining());
    // Its writes are ended by the election, before the lease is released.
    tasks.spawn("events", Phase::Reads, async move {
        until(stop, observer::announce(&observed, &leadership, &recorder)).await
    });

    let router = standard_routes(readiness, move || metrics.render()).merge(observer::routes(observer));
    let stop = shutdown.draining();
    tasks.spawn("server", Phase::Reads, async move {
        server.serve(router, stop).await;
        Ok::<_, Infallible>(())
    });
    tasks.run().await?;
    Ok(ExitStatus::Clean)
}

/// Runs a task that has no end of its own until it is told to stop.
async fn until(stop: impl Future<Output = ()>, task: impl Future<Output = ()>) -> Result<(), Infallible> {
    tokio::select! {
        () = stop => {}
        () = task => {}
    }
    Ok(())
}
