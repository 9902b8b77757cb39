//! `crd`: the custom resource definitions, printed or installed.

use super::ExitStatus;
use super::args::ConnectArgs;
use crate::cluster::{self, CallError, HelmRelease};
use crate::manifests::OBJECT_MANAGER;
use crate::manifests::{crds, manifest};
use crate::output::ManifestFormat;
use crate::terminal::{note, to_stdout};
use anyhow::{Context, bail};
use clap::Subcommand;
use kube::ResourceExt;
use std::io::Write as _;

/// Print or install the custom resource definitions: DevOpsPolicy, ClusterDevOpsPolicy and PolicyAuditResult.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    Generate(GenerateArgs),
    Install(Box<InstallArgs>),
}

/// Print the definitions, for kubectl and for files.
#[derive(Clone, Debug, clap::Args)]
struct GenerateArgs {
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    output: ManifestFormat,
}

/// Install the definitions, or bring them up to date, and wait until they are served.
///
/// This is a server-side apply by the field manager kube-devops. It takes over fields that another manager set
/// to other values, and keeps existing objects.
#[derive(Clone, Debug, clap::Args)]
struct InstallArgs {
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitStatus> {
    match args.action {
        Action::Generate(args) => generate(&args),
        Action::Install(args) => install(&args).await,
    }
}

fn generate(args: &GenerateArgs) -> anyhow::Result<ExitStatus> {
    let objects = crds().iter().map(manifest).collect::<Result<Vec<_>, _>>()?;
    to_stdout(|out| args.output.write(&objects, out.exact()))?;
    Ok(ExitStatus::Clean)
}

async fn install(args: &InstallArgs) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    for crd in crds() {
        let name = crd.name_any();
        if let Some(release) = cluster.crd(&name).await.ok().flatten().as_ref().and_then(HelmRelease::of) {
            note(format_args!(
                "{release} manages the CRD {name}: if the release still exists, its next upgrade by Helm 4 needs \
                 --force-conflicts"
            ))?;
        }
        let applied = match cluster.apply_crd(&crd, OBJECT_MANAGER).await {
            Err(CallError::Status(status)) if status.code == 403 => bail!(
                "cannot install the CRD {name}: {}: installing needs get, create and patch on \
                 customresourcedefinitions, which an administrator of the cluster has; `kube-devops crd generate` \
                 prints what to apply",
                status.message
            ),
            applied => applied.with_context(|| format!("cannot install the CRD {name}"))?,
        };
        cluster.wait_until_established(&name).await.with_context(|| format!("CRD {name}"))?;
        to_stdout(|out| writeln!(out, "customresourcedefinition {name} {applied}"))?;
    }
    Ok(ExitStatus::Clean)
}
