//! `kube-devops webhook install-config`: registers the webhook in the API server.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::value_parser;
use jiff::SignedDuration;

use super::registration::{RISK, until_ready};
use crate::admission::configuration::{self, ConfigurationError, authorities};
use crate::cluster::{self, Cluster};
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, SystemNamespaceArgs, duration, namespace};
use crate::manifests::installation::DEFAULT_NAMESPACE;
use crate::manifests::{
    WEBHOOK_SERVICE, WEBHOOK_SERVICE_PORT, WebhookAddress, WebhookChoices, manifest,
    mutating_webhook_configuration, webhook_configuration,
};
use crate::output::ManifestFormat;
use crate::terminal::{note, to_stdout};

/// Register the webhook in the API server, once a replica is ready.
///
/// One configuration evaluates eight kinds, and one adds defaults to new workloads of the kinds that enforcement patches.
/// Both leave out system namespaces and the webhook's own one, and wait 5 s at most. Without an answer, objects are stored
/// without defaults, and without evaluation unless --fail-closed is given.
///
/// Exit status: 2 when it was not installed.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Namespace of the webhook: that of its Secret and its Service
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE, value_parser = namespace)]
    namespace: String,

    /// Service of the webhook
    #[arg(long, value_name = "NAME", default_value = WEBHOOK_SERVICE, value_parser = namespace)]
    service_name: String,

    /// Port of the Service
    #[arg(long, value_name = "PORT", default_value_t = WEBHOOK_SERVICE_PORT, value_parser = value_parser!(u16).range(1..))]
    service_port: u16,

    /// Address of a webhook that runs outside of the cluster: https, host and port
    ///
    /// Its certificate must be valid for the host: start `webhook serve` with --tls-name HOST. Its Secret is in the
    /// namespace of its kubeconfig, unless --lease-namespace names another one.
    #[arg(long, value_name = "URL", conflicts_with_all = ["service_name", "service_port"])]
    url: Option<String>,

    /// File with the authorities to trust, in PEM form [default: those in the webhook's Secret]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Refuse objects while the webhook does not answer; needs two ready replicas
    #[arg(long)]
    fail_closed: bool,

    /// Wait until the webhook is ready, for this long at most, such as 4m
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "dry_run")]
    wait: Option<SignedDuration>,

    /// Only print the configuration
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    system: SystemNamespaceArgs,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    until_ready(args.wait.unwrap_or_default(), async || register(args, &cluster).await).await
}

async fn register(args: &Args, cluster: &Cluster) -> anyhow::Result<ExitStatus> {
    let ca_bundle = match &args.ca_file {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        None => authorities(cluster, &args.namespace)
            .await
            .context("cannot read the Secret of the webhook")?
            .ok_or_else(|| ConfigurationError::NoAuthority { namespace: args.namespace.clone() })?
            .bundle(),
    };
    let service = || WebhookAddress::Service {
        namespace: args.namespace.clone(),
        name: args.service_name.clone(),
        port: args.service_port,
    };
    let choices = WebhookChoices {
        address: args.url.clone().map_or_else(service, WebhookAddress::Url),
        ca_bundle,
        fail_closed: args.fail_closed,
        own_namespace: args.namespace.clone(),
        system: args.system.with([args.namespace.clone()]),
    };
    if args.dry_run {
        let objects = [
            manifest(&webhook_configuration(&choices))?,
            manifest(&mutating_webhook_configuration(&choices))?,
        ];
        to_stdout(|out| ManifestFormat::Yaml.write(&objects, out.exact()))?;
        return Ok(ExitStatus::Clean);
    }
    for (object, is_changed) in configuration::install(cluster, &choices).await? {
        let outcome = if is_changed { "installed" } else { "unchanged" };
        to_stdout(|out| writeln!(out, "{object} {outcome}"))?;
    }
    if args.fail_closed {
        note(RISK)?;
    }
    Ok(ExitStatus::Clean)
}
