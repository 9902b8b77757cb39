//! `kube-devops webhook serve`: the admission webhook.

use std::sync::Arc;

use jiff::Timestamp;
use tracing::info;
use tracing::level_filters::LevelFilter;

use super::certificates::CertificateArgs;
use crate::admission::{
    AdmissionMetrics, CertificateCollector, NamespaceSurroundings, NativeNamespaces, Reviewer, routes,
};
use crate::commands::ExitStatus;
use crate::commands::args::SystemNamespaceArgs;
use crate::commands::service::{Live, ServiceArgs};
use crate::manifests::{AdmissionSettings, RECONCILE_LEASE};
use crate::policies::{self, Policies};
use crate::runtime::{Index, Listen, Phase, SecureServer, ServingCertificate, Tasks};

/// Serve the admission webhook: deny or warn about workloads by the policies of their namespace.
///
/// Serves POST /validate and /mutate over HTTPS, and /metrics, /healthz and /readyz over HTTP. Every replica serves. The leader
/// makes and rotates the certificates in Secret kube-devops-webhook-tls, unless --tls-cert is given. `webhook
/// install-config` tells the API server about it.
///
/// Exit status: 0 after SIGTERM or Ctrl+C, 2 when it cannot continue.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    system: SystemNamespaceArgs,

    /// Address of the webhook, over HTTPS: a port, or host and port
    #[arg(long, value_name = "ADDR", default_value = ":8443")]
    secure_listen: Listen,

    /// Address of health and metrics, over HTTP: a port, or host and port
    #[arg(long, value_name = "ADDR", default_value = ":8081")]
    listen: Listen,

    #[command(flatten)]
    certificates: CertificateArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

pub(super) fn run(args: &Args, verbosity: Option<LevelFilter>) -> anyhow::Result<ExitStatus> {
    args.service.run(verbosity, args.listen.clone(), async |live| serve(args, live).await)
}

#[expect(clippy::disallowed_methods, reason = "the edge at which the clock is handed in")]
async fn serve(args: &Args, mut live: Live) -> anyhow::Result<ExitStatus> {
    let clock: fn() -> Timestamp = Timestamp::now;
    let server = SecureServer::bind(args.secure_listen.clone()).await?;
    info!(listen = %server.address(), "serving the webhook");
    let certificate = ServingCertificate::default();
    args.certificates.start(&args.service, &mut live, &certificate, clock)?;
    let own = args.service.own_namespaces(&live.cluster);
    let policies = Arc::new(Policies::new(args.system.with(own)));
    let metrics = AdmissionMetrics::register(&live.metrics)?;
    CertificateCollector::register(&live.metrics, certificate.clone(), clock)?;
    let (native, surroundings) = (NativeNamespaces::default(), NamespaceSurroundings::default());
    let reviewer = Reviewer::new(Arc::clone(&policies), native.clone(), surroundings.clone(), metrics, clock);
    let reviewer = Arc::new(reviewer);
    let home = args.service.lease.home(&live.cluster).to_owned();
    let settings = AdmissionSettings {
        namespace: home.clone(),
        account: RECONCILE_LEASE.to_owned(),
        system_namespaces: args.system.names(),
    };
    let (cluster, unready) = (live.cluster.clone(), live.service.readiness.register("policies"));
    let unlisted = live.service.readiness.register("namespaces");
    let stop = live.service.shutdown.triggered();
    live.service.tasks.set_grace(Tasks::GRACE + SecureServer::DRAIN);
    // The policies are followed as long as the last request is answered.
    live.service.tasks.spawn("webhook", Phase::Reads, async move {
        tokio::select! {
            ended = server.serve(routes(reviewer), certificate, stop) => ended,
            () = policies::follow(&policies, &cluster, &[], unready, |_| ()) => Ok(()),
            () = native.follow(&policies, &cluster, unlisted) => Ok(()),
            never = native.watch_installation(&cluster, &settings) => match never {},
            () = surroundings.follow(&cluster, &home) => Ok(()),
        }
    });
    live.run(Index::new("kube-devops webhook")).await
}
