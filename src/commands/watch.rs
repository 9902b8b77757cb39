//! `kube-devops watch`: scores that follow the watch stream, served over HTTP.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ApiResource;
use tracing::level_filters::LevelFilter;

use super::ExitStatus;
use super::args::ScopeArgs;
use super::service::{Service, ServiceArgs, listen};
use crate::cluster::{Events, WatchRequest};
use crate::governance::Scope;
use crate::observer::{self, Observer, ObserverMetrics, ScoreCollector};
use crate::policy::EffectivePolicy;
use crate::runtime::{Listen, Phase};

/// Keep the score of a cluster up to date from its watch stream, and serve it to Prometheus and others.
///
/// Serves /metrics, /api/v1/scores, /healthz and /readyz. Of several replicas all observe and serve; the leader alone
/// writes events. Ends with status 0 on SIGTERM or Ctrl+C, and with 2 when it can't go on.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,

    /// Where to serve: a port, or address and port
    #[arg(long, value_name = "ADDR", default_value = ":8080", value_parser = listen)]
    listen: Listen,

    #[command(flatten)]
    service: ServiceArgs,
}

pub(super) fn run(args: &Args, verbosity: Option<LevelFilter>) -> anyhow::Result<ExitStatus> {
    let scope = args.scope.scope()?;
    args.service.run(verbosity, args.listen, async |service| serve(args, scope, service).await)
}

impl Args {
    /// One watch of all pods, or one for each namespace that was asked for.
    fn requests(&self, scope: &Scope) -> Vec<WatchRequest> {
        let request = |namespace| WatchRequest {
            resource: ApiResource::erase::<Pod>(&()),
            namespace,
            selector: self.scope.selector(),
            metadata_only: false,
        };
        if scope.namespaces.is_empty() {
            return vec![request(None)];
        }
        scope.namespaces.iter().map(|namespace| request(Some(namespace.clone()))).collect()
    }
}

async fn serve(args: &Args, mut scope: Scope, mut service: Service) -> anyhow::Result<ExitStatus> {
    let (leadership, identity) = args.service.campaign("kube-devops-watch", &mut service)?;

    // The API server selects by label, and twice the same namespace would be observed twice.
    scope.selector = None;
    scope.namespaces.sort();
    scope.namespaces.dedup();
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

    let events = Events::new(&service.cluster, "kube-devops-watch", identity);
    let announced = Arc::clone(&observer);
    // Its writes are ended by the election, before the lease is released.
    service.spawn("events", Phase::Reads, async move {
        observer::announce(&announced, &leadership, &events).await;
    });
    service.run(observer::routes(observer)).await
}
