//! `kube-devops reconcile`: the operator of the DevOpsPolicy.

use std::sync::Arc;

use anyhow::bail;
use jiff::{SignedDuration, Timestamp};
use tracing::level_filters::LevelFilter;

use super::ExitStatus;
use super::args::{AdmissionMode, AuditArgs, BudgetArgs, NamespacesArgs, SystemNamespaceArgs, duration};
use super::service::{Live, ServiceArgs};
use crate::cluster::Events;
use crate::enforcement::Limits;
use crate::manifests::{AdmissionSettings, RECONCILE_LEASE};
use crate::operator::{self, Operator, OperatorMetrics, OperatorSettings, PolicyCollector};
use crate::remediation::RemediationSettings;
use crate::runtime::{Index, Listen, Phase};

/// Run the operator: evaluate the namespace of every DevOpsPolicy, write its status, and patch workloads where it enforces.
///
/// Serves /metrics, /healthz and /readyz; / links to them. Every replica evaluates, and only the leader writes.
///
/// Exit status: 0 after SIGTERM or Ctrl+C, 2 when it cannot continue.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    namespaces: NamespacesArgs,

    #[command(flatten)]
    system: SystemNamespaceArgs,

    /// Address to serve on: a port, or host and port
    #[arg(long, value_name = "ADDR", default_value = ":9090")]
    listen: Listen,

    /// Evaluate objects in the API server: native keeps the verdicts of policies on their Namespaces, where the
    /// admission policies of `policy compile` read them
    #[arg(long, value_enum, value_name = "MODE", default_value_t)]
    admission: AdmissionMode,

    #[command(flatten)]
    audit: AuditArgs,

    #[command(flatten)]
    budgets: BudgetArgs,

    /// Time after which the conflict policy is applied again; tests use less
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration, hide = true)]
    yield_interval: SignedDuration,

    /// Time limit of the clean-up after a deleted policy; tests use less
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration, hide = true)]
    cleanup_time: SignedDuration,

    /// The most time that the new pods of a patch are watched once they are available, only for tests
    #[arg(long, value_name = "TIME", hide = true)]
    most_settling: Option<SignedDuration>,

    /// The time after which a rollout without progress gives its place back; tests use less
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration, hide = true)]
    stall: SignedDuration,

    #[command(flatten)]
    service: ServiceArgs,
}

pub(super) fn run(args: &Args, verbosity: Option<LevelFilter>) -> anyhow::Result<ExitStatus> {
    args.service.run(verbosity, args.listen.clone(), async |live| serve(args, live).await)
}

async fn serve(args: &Args, mut live: Live) -> anyhow::Result<ExitStatus> {
    let mut namespaces = args.namespaces.names();
    namespaces.sort();
    namespaces.dedup();
    if !namespaces.is_empty() && args.admission == AdmissionMode::Native {
        bail!("--admission native keeps verdicts on Namespaces, and needs all of them: leave -n out");
    }
    let (leadership, identity) = args.service.campaign(RECONCILE_LEASE, &mut live)?;
    let events = Events::new(&live.cluster, RECONCILE_LEASE, identity);
    let own = args.service.own_namespaces(&live.cluster);
    #[expect(clippy::disallowed_methods, reason = "the edge at which the clock is handed in")]
    let settings = OperatorSettings {
        system: args.system.with(own),
        namespaces,
        audit_interval: args.audit.audit_interval,
        cluster_name: args.audit.cluster_name.clone(),
        report_interval: args.audit.report_interval(),
        admission: (args.admission == AdmissionMode::Native).then(|| AdmissionSettings {
            namespace: args.service.lease.home(&live.cluster).to_owned(),
            account: RECONCILE_LEASE.to_owned(),
            system_namespaces: args.system.names(),
        }),
        remediation: RemediationSettings {
            limits: Limits { stall: args.stall, ..args.budgets.limits() },
            home: args.service.lease.home(&live.cluster).to_owned(),
            conflict_policy_interval: args.yield_interval,
            cleanup_time: args.cleanup_time,
            most_settling: args.most_settling,
            clock: Timestamp::now,
        },
    };
    let metrics = OperatorMetrics::register(&live.metrics)?;
    let cluster = live.cluster.clone();
    let operator = Arc::new(Operator::new(cluster, leadership, events, settings, metrics));
    PolicyCollector::register(&live.metrics, Arc::clone(&operator))?;
    let unready = live.service.readiness.register("policies");
    // The controller ends with the writes, and the election waits for the one under way.
    let stop = live.service.shutdown.triggered();
    live.service.spawn("operator", Phase::Reads, operator::run(operator, unready, Box::pin(stop)));
    live.run(Index::new("kube-devops reconcile")).await
}
