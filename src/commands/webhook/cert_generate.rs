//! `kube-devops webhook cert-generate`: certificates for those who keep them by hand.

use clap::value_parser;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::admission::certificates::{Lifetimes, Names, bootstrap};
use crate::commands::ExitStatus;
use crate::commands::args::namespace;
use crate::manifests::installation::DEFAULT_NAMESPACE;
use crate::manifests::{WEBHOOK_SECRET, WEBHOOK_SERVICE};
use crate::output::ManifestFormat;
use crate::terminal::to_stdout;

/// Print a Secret with a new authority and a serving certificate for the webhook.
///
/// Mount it and give `webhook serve` the files with --tls-cert and --tls-key, and give `webhook install-config` the file
/// ca.crt with --ca-file. A webhook without --tls-cert needs none of this: it makes its own.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Namespace of the webhook
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE, value_parser = namespace)]
    namespace: String,

    /// Service of the webhook
    #[arg(long, value_name = "NAME", default_value = WEBHOOK_SERVICE, value_parser = namespace)]
    service_name: String,

    /// Further DNS name or IP address (repeatable)
    #[arg(long, value_name = "NAME")]
    tls_name: Vec<String>,

    /// Days for which both certificates are valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = value_parser!(u16).range(1..=3650))]
    days: u16,

    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: ManifestFormat,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let lifetime = SignedDuration::from_hours(24 * i64::from(args.days));
    let lifetimes = Lifetimes { authority: lifetime, leaf: lifetime };
    let names = Names::of_service(&args.namespace, &args.service_name, &args.tls_name);
    #[expect(clippy::disallowed_methods, reason = "the edge at which the clock is handed in")]
    let material = bootstrap(&names, lifetimes, Timestamp::now())?;
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": WEBHOOK_SECRET, "namespace": args.namespace },
        "type": "kubernetes.io/tls",
        "data": material.to_data(),
    });
    to_stdout(|out| args.output.write(&[secret], out.exact()))?;
    Ok(ExitStatus::Clean)
}
