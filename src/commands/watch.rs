//! `kube-devops watch`: scores that follow the watch stream, served over HTTP.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ApiResource;
use tracing::level_filters::LevelFilter;

use super::ExitStatus;
use super::args::ScopeArgs;
use super::service::{Live, ServiceArgs};
use crate::cluster::{Events, WatchRequest, WatchSelector};
use crate::governance::Scope;
use crate::manifests::WATCH_LEASE;
use crate::observer::{self, Observer, ObserverMetrics, ScoreCollector};
use crate::policy::EffectivePolicy;
use crate::runtime::{Index, Listen, Phase};

/// Keep the score of a cluster up to date from watches, and serve it to Prometheus and others.
///
/// Serves /metrics, /api/v1/scores, /healthz and /readyz; / links to them. Every replica observes and serves, and only
/// the leader writes events.
///
/// Exit status: 0 after SIGTERM or Ctrl+C, 2 when it cannot continue.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,

    /// Address to serve on: a port, or host and port
    #[arg(long, value_name = "ADDR", default_value = ":8080")]
    listen: Listen,

    #[command(flatten)]
    service: ServiceArgs,
}

pub(super) fn run(args: &Args, verbosity: Option<LevelFilter>) -> anyhow::Result<ExitStatus> {
    let scope = args.scope.scope()?;
    args.service.run(verbosity, args.listen.clone(), async |live| serve(args, scope, live).await)
}

impl Args {
    /// Returns one watch of all pods, or one for each namespace of -n.
    fn requests(&self, scope: &Scope) -> Vec<WatchRequest> {
        let request = |namespace| WatchRequest {
            resource: ApiResource::erase::<Pod>(&()),
            namespace,
            selector: self.scope.selector().map(WatchSelector::Labels),
            metadata_only: false,
        };
        if scope.namespaces.is_empty() {
            return vec![request(None)];
        }
        scope.namespaces.iter().map(|namespace| request(Some(namespace.clone()))).collect()
    }
}

async fn serve(args: &Args, mut scope: Scope, mut live: Live) -> anyhow::Result<ExitStatus> {
    let (leadership, identity) = args.service.campaign(WATCH_LEASE, &mut live)?;

    // The API server applies the label selector. A namespace given twice would be observed twice.
    scope.selector = None;
    scope.namespaces.sort();
    scope.namespaces.dedup();
    let requests = args.requests(&scope);
    let watched: Vec<Option<String>> = requests.iter().map(|request| request.namespace.clone()).collect();
    let counters = ObserverMetrics::register(&live.metrics)?;
    #[expect(clippy::disallowed_methods, reason = "the edge at which the clock is handed in")]
    let clock = Timestamp::now;
    let observer =
        Arc::new(Observer::new(EffectivePolicy::default(), scope, requests.len(), counters, clock));
    ScoreCollector::register(&live.metrics, Arc::clone(&observer))?;
    for request in requests {
        let (observer, cluster) = (Arc::clone(&observer), live.cluster.clone());
        let unready = live.service.readiness.register("pods");
        live.service.spawn("watch", Phase::Writes, async move {
            observer::observe(&observer, &cluster, request, unready).await;
        });
    }

    // With a label selector, the workloads may not have the labels of their pods, so all of them are followed.
    for request in observer::annotation_requests(&watched) {
        let (observer, cluster) = (Arc::clone(&observer), live.cluster.clone());
        let unready = live.service.readiness.register("annotations");
        live.service.spawn("annotations", Phase::Writes, async move {
            observer::observe_annotations(&observer, &cluster, request, unready).await;
        });
    }

    let named: Vec<String> = watched.into_iter().flatten().collect();
    if !named.is_empty() {
        let (observer, cluster) = (Arc::clone(&observer), live.cluster.clone());
        let unready = live.service.readiness.register("annotations");
        live.service.spawn("annotations", Phase::Writes, async move {
            observer::observe_namespaces(&observer, &cluster, &named, unready).await;
        });
    }

    let events = Events::new(&live.cluster, WATCH_LEASE, identity);
    let announced = Arc::clone(&observer);
    // The election ends its writes, before it releases the Lease.
    live.service.spawn("events", Phase::Reads, async move {
        observer::announce(&announced, &leadership, &events).await;
    });
    let index = Index::new("kube-devops watch");
    let about = "scores of the cluster and its namespaces, as JSON";
    live.run(index.and(observer::routes(observer), "api/v1/scores", about)).await
}
