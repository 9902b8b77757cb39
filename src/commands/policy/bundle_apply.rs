//! `kube-devops policy bundle-apply`: makes a policy of a bundle in each chosen namespace.

use std::io::Write as _;

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use futures::{StreamExt as _, stream};

use super::targets::TargetArgs;
use crate::cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, bundle};
use crate::policies::{ApplyOptions, apply};
use crate::policy::{Bundle, EnforcementMode};
use crate::terminal::{self, to_stdout};

/// The most requests at the same time.
const CONCURRENT: usize = 4;

/// Apply the policy of a bundle in namespaces, by server-side apply.
///
/// System namespaces are skipped. A setting that somebody else changed on the policy stays, and is reported as a
/// conflict.
///
/// Exit status: 2 when the policy could not be applied in a namespace.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Bundle: a name that `policy bundle-list` shows, or a path such as ./team.yaml or ./bundles/team
    #[arg(value_name = "BUNDLE")]
    bundle: String,

    #[command(flatten)]
    targets: TargetArgs,

    /// Name of the policy [default: the bundle's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Mode of the policy [default: the bundle's]
    #[arg(long, value_name = "MODE", value_parser = PossibleValuesParser::new(["audit", "enforce"]).map(|name| mode(&name)))]
    mode: Option<EnforcementMode>,

    /// Let the API server check everything, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let bundle = bundle(&args.bundle)?;
    let cluster = cluster::connect(&args.connect.options()).await?;
    let namespaces = args.targets.namespaces(&cluster).await?;
    let options = ApplyOptions { dry_run: args.dry_run };
    let mut results = stream::iter(&namespaces)
        .map(async |namespace| {
            let policy = policy(args, &bundle, namespace);
            (namespace, apply(&cluster, &policy, options).await)
        })
        .buffered(CONCURRENT);
    let name = args.name.as_ref().unwrap_or(&bundle.name);
    let dry_run = if args.dry_run { " (dry run)" } else { "" };
    let mut status = ExitStatus::Clean;
    while let Some((namespace, result)) = results.next().await {
        match result {
            Ok(applied) => {
                to_stdout(|out| writeln!(out, "policy {namespace}/{name} {applied}{dry_run}"))?;
            }
            Err(error) if error.is_general() => {
                return Err(error).with_context(|| format!("cannot apply policy {namespace}/{name}"));
            }
            Err(error) => {
                terminal::error(format_args!("cannot apply policy {namespace}/{name}: {error}"))?;
                status = ExitStatus::Failed;
            }
        }
    }
    Ok(status)
}

fn policy(args: &Args, bundle: &Bundle, namespace: &str) -> serde_json::Value {
    bundle.manifest(args.name.as_ref().unwrap_or(&bundle.name), Some(namespace), args.mode)
}

fn mode(text: &str) -> EnforcementMode {
    if text == "enforce" { EnforcementMode::Enforce } else { EnforcementMode::Audit }
}
