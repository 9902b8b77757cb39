//! The flags of the webhook's certificates, and the tasks that keep them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use jiff::{SignedDuration, Timestamp};

use crate::admission::certificates::{
    CertificateKeeper, KeeperSettings, Lifetimes, Names, follow_files, follow_secret, load,
};
use crate::commands::args::duration;
use crate::commands::service::{Live, ServiceArgs};
use crate::manifests::{WEBHOOK_LEASE, WEBHOOK_SERVICE};
use crate::runtime::{Phase, ServingCertificate};

/// The serving certificate. The times of rotations are hidden: only tests use others.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Certificates")]
pub(super) struct CertificateArgs {
    /// Name of the Service by which the API server calls the webhook
    #[arg(long, value_name = "NAME", default_value = WEBHOOK_SERVICE)]
    service_name: String,

    /// Further DNS name or IP address of the serving certificate (repeatable)
    #[arg(long, value_name = "NAME")]
    tls_name: Vec<String>,

    /// File with the serving certificate and its chain, in PEM form; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// File with the key of --tls-cert
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Pause between two looks at the certificates
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration, hide = true)]
    certificate_interval: SignedDuration,

    /// Pause between two steps of a rotation
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration, hide = true)]
    rotation_pause: SignedDuration,

    /// Lifetime of the authority
    #[arg(long, value_name = "TIME", default_value = "8760h", value_parser = duration, hide = true)]
    authority_lifetime: SignedDuration,

    /// Lifetime of the serving certificate
    #[arg(long, value_name = "TIME", default_value = "2160h", value_parser = duration, hide = true)]
    certificate_lifetime: SignedDuration,
}

impl CertificateArgs {
    /// Starts the tasks that keep the certificate and the configuration up to date.
    pub(super) fn start(
        &self,
        service: &ServiceArgs,
        live: &mut Live,
        certificate: &ServingCertificate,
        clock: fn() -> Timestamp,
    ) -> anyhow::Result<()> {
        let (leadership, _) = service.campaign(WEBHOOK_LEASE, live)?;
        let (interval, pause) = (self.certificate_interval, self.rotation_pause);
        let namespace = service.lease.home(&live.cluster).to_owned();
        let cluster = Arc::new(live.cluster.clone());
        let names = if let (Some(chain), Some(key)) = (&self.tls_cert, &self.tls_key) {
            load(chain, key, certificate).map_err(|error| anyhow!(error))?;
            let files = follow_files(chain.clone(), key.clone(), certificate.clone(), interval);
            live.service.spawn("certificate files", Phase::Reads, files);
            None
        } else {
            let unready = live.service.readiness.register("certificate");
            let secret = follow_secret(
                Arc::clone(&cluster),
                namespace.clone(),
                certificate.clone(),
                interval,
                unready,
            );
            live.service.spawn("certificate", Phase::Reads, secret);
            Some(Names::of_service(&namespace, &self.service_name, &self.tls_name))
        };
        let lifetimes = Lifetimes { authority: self.authority_lifetime, leaf: self.certificate_lifetime };
        let settings = KeeperSettings { namespace, names, lifetimes, pause, interval, clock };
        let keeper = CertificateKeeper::new(cluster, leadership, settings);
        live.service.spawn("certificate keeper", Phase::Reads, keeper.run());
        Ok(())
    }
}
