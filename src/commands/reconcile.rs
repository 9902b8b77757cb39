//! `kube-devops reconcile`: the operator of the DevOpsPolicy.

use std::sync::Arc;

use axum::Router;
use jiff::{SignedDuration, Timestamp};
use tracing::level_filters::LevelFilter;

use super::ExitStatus;
use super::args::BudgetArgs;
use super::service::{Service, ServiceArgs, listen};
use crate::cluster::Events;
use crate::operator::{self, Operator, OperatorMetrics, OperatorSettings, PolicyCollector};
use crate::policy::SystemNamespaces;
use crate::remediation::RemediationSettings;
use crate::runtime::{Listen, Phase};

/// Judge every DevOpsPolicy's namespace, continuously, and write what came of it into the policy's status.
///
/// Serves /metrics, /healthz and /readyz. Of several replicas all judge; the leader alone writes. Ends with status 0 on
/// SIGTERM or Ctrl+C, and with 2 when it can't go on.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Count this namespace as a system namespace too, in which policies have no effect (repeatable)
    #[arg(long, value_name = "NAME")]
    system_namespace: Vec<String>,

    /// Where to serve: a port, or address and port
    #[arg(long, value_name = "ADDR", default_value = ":9090", value_parser = listen)]
    listen: Listen,

    #[command(flatten)]
    budgets: BudgetArgs,

    /// The least time between two audit results of a policy, shorter in tests
    #[arg(long, value_name = "TIME", default_value = "5m", hide = true)]
    audit_interval: SignedDuration,

    /// How often what makes patches yield to others' writes is installed anew, shorter in tests
    #[arg(long, value_name = "TIME", default_value = "5m", hide = true)]
    yield_interval: SignedDuration,

    /// How long a deleted policy may take to go, shorter in tests
    #[arg(long, value_name = "TIME", default_value = "10m", hide = true)]
    cleanup_time: SignedDuration,

    #[command(flatten)]
    service: ServiceArgs,
}

pub(super) fn run(args: &Args, verbosity: Option<LevelFilter>) -> anyhow::Result<ExitStatus> {
    args.service.run(verbosity, args.listen, async |service| serve(args, service).await)
}

async fn serve(args: &Args, mut service: Service) -> anyhow::Result<ExitStatus> {
    let (leadership, identity) = args.service.campaign("kube-devops-reconcile", &mut service)?;
    let events = Events::new(&service.cluster, "kube-devops-reconcile", identity);
    let own = args.service.own_namespaces(&service.cluster);
    #[expect(clippy::disallowed_methods, reason = "the edge at which the clock is handed in")]
    let settings = OperatorSettings {
        system: SystemNamespaces::with(args.system_namespace.iter().cloned().chain(own).collect()),
        audit_interval: args.audit_interval,
        remediation: RemediationSettings {
            limits: args.budgets.limits(),
            home: args.service.home(&service.cluster).to_owned(),
            conflict_policy_interval: args.yield_interval,
            cleanup_time: args.cleanup_time,
            clock: Timestamp::now,
        },
    };
    let metrics = OperatorMetrics::register(&service.metrics)?;
    let cluster = service.cluster.clone();
    let operator = Arc::new(Operator::new(cluster, leadership, events, settings, metrics));
    PolicyCollector::register(&service.metrics, Arc::clone(&operator))?;
    let unready = service.readiness.register("policies");
    // The controller ends with the writes, and the election waits for the one under way.
    let stop = service.shutdown.triggered();
    service.spawn("operator", Phase::Reads, operator::run(operator, unready, Box::pin(stop)));
    service.run(Router::new()).await
}
