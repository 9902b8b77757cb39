//! `kube-devops watch`: scores that follow the watch stream, served over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ApiResource;
use kube::runtime::events::{Recorder, Reporter};
use tracing::level_filters::LevelFilter;

use super::ExitStatus;
use super::args::ConnectArgs;
use super::service::{self, LeaseArgs, LogArgs, Service, listen};
use crate::cluster::WatchRequest;
use crate::governance::{Scope, parse_selector};
use crate::observer::{self, Observer, ObserverMetrics, ScoreCollector};
use crate::policy::{EffectivePolicy, SystemNamespaces};
use crate::runtime::Phase;

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
    service::block_on(serve(args, scope))
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
            metadata_only: false,
        };
        if scope.namespaces.is_empty() {
            return vec![request(None)];
        }
        scope.namespaces.iter().map(|namespace| request(Some(namespace.clone()))).collect()
    }
}

async fn serve(args: &Args, scope: Scope) -> anyhow::Result<ExitStatus> {
    let mut service = Service::start(args.listen, &args.connect).await?;
    let (leadership, identity) = args.lease.campaign("kube-devops-watch", &mut service)?;

    let requests = args.requests(&scope);
    let counters = ObserverMetrics::register(&service.metrics)?;
    #[expect(clippy::disallowed_methods, reason = "the edge at which the clock is handed in")]
    let clock = Timestamp::now;
    let observer =
        Arc::new(Observer::new(EffectivePolicy::default(), scope, requests.len(), counters, clock));
    ScoreCollector::register(&service.metrics, Arc::clone(&observer))?;
    for request in requests {
        let (observer, cluster) = (Arc::clone(&observer), service.cluster.clone());
        let unready = service.readiness.register("pods");
        service.spawn("watch", Phase::Writes, async move {
            observer::observe(&observer, &cluster, request, unready).await;
        });
    }

    let reporter = Reporter { controller: "kube-devops-watch".to_owned(), instance: Some(identity) };
    let client = service.cluster.client.clone();
    let recorder = move || Recorder::new(client.clone(), reporter.clone());
    let observed = Arc::clone(&observer);
    // Its writes are ended by the election, before the lease is released.
    service.spawn("events", Phase::Reads, async move {
        observer::announce(&observed, &leadership, recorder).await;
    });
    service.run(observer::routes(observer)).await
}
