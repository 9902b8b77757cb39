//! `kube-devops policy export`: the policies of a cluster as files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::cluster;
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, NamespaceArgs};
use crate::output::ManifestFormat;
use crate::policies::documents;
use crate::policy::PolicyDocument;
use crate::terminal::{note, to_stdout};

/// Print the policies of a cluster without what the cluster added, or write each to a file.
///
/// `policy import` takes the result, and nothing that a user can set is lost on the way.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Names of the policies [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    namespace: NamespaceArgs,

    /// All namespaces, and the cluster policies
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,

    /// Write each policy to NAMESPACE/NAME.yaml in this directory, a cluster policy to NAME.yaml; files of the same name
    /// are replaced
    #[arg(short, long, value_name = "DIR")]
    directory: Option<PathBuf>,

    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: ManifestFormat,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    let namespace = (!args.all_namespaces).then(|| args.namespace.or_default(&cluster));
    let found = documents(&cluster, namespace).await.context("cannot list the policies")?;
    let place = namespace.map_or_else(|| "any namespace".to_owned(), |name| format!("namespace {name:?}"));
    if let Some(name) = args.names.iter().find(|name| !found.iter().any(|policy| policy.name == **name)) {
        bail!("there is no policy {name:?} in {place}");
    }
    let is_chosen = |policy: &PolicyDocument| args.names.is_empty() || args.names.contains(&policy.name);
    let chosen: Vec<_> = found.into_iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        if let Some(namespace) = namespace
            && cluster.lacks_namespace(namespace).await
        {
            bail!("namespace {namespace:?} not found");
        }
        note(format_args!("there is no policy in {place}"))?;
        return Ok(ExitStatus::Clean);
    }
    match &args.directory {
        None => {
            let manifests: Vec<_> = chosen.iter().map(PolicyDocument::manifest).collect();
            to_stdout(|out| args.output.write(&manifests, out.exact()))?;
        }
        Some(directory) => {
            for policy in &chosen {
                write(policy, directory, args.output)?;
            }
            note(format_args!("wrote {} policies to {}", chosen.len(), directory.display()))?;
        }
    }
    Ok(ExitStatus::Clean)
}

fn write(policy: &PolicyDocument, directory: &Path, format: ManifestFormat) -> anyhow::Result<()> {
    let directory = directory.join(policy.namespace.as_deref().unwrap_or_default());
    let extension = match format {
        ManifestFormat::Yaml => "yaml",
        ManifestFormat::Json => "json",
    };
    let file = directory.join(format!("{}.{extension}", policy.name));
    let mut text = Vec::new();
    format.write(&[policy.manifest()], &mut text)?;
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}
