//! `kube-devops policy diff`: compares the policies of two files, bundles or clusters.

use std::path::PathBuf;

use anyhow::bail;
use jiff::Timestamp;

use super::impact::{Objects, impact};
use super::side::{resolve, side};
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, namespace};
use crate::governance::ImpactPolicies;
use crate::output::DifferenceFormat;
use crate::policy::{PolicySide, differences};
use crate::terminal::{self, to_stdout};

/// Compare the policies of files, bundles or clusters.
///
/// A side is a path, bundle:NAME, `cluster` for the cluster of the flags, or cluster:CONTEXT. A path leads to policies or
/// to one bundle. Policies are compared by namespace and name, cluster policies by name. A bundle is compared with each
/// policy of the other side, and two files with one policy each are compared whatever the names. Only specs count, with the defaults that the API server adds.
///
/// Exit status: 0 when both sides are the same, 1 when they differ.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// First side
    #[arg(value_name = "FROM")]
    from: String,

    /// Second side
    #[arg(value_name = "TO")]
    to: String,

    /// Only this namespace and no cluster policies; policies in files that name no namespace get this one
    #[arg(short, long, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,

    /// Evaluate workloads under both sides, and show which outcomes and scores differ
    #[arg(long)]
    impact: bool,

    /// With --impact, evaluate the manifests at these paths, not the pods of the cluster (repeatable, or with commas)
    #[arg(short = 'f', long, value_name = "PATH", requires = "impact")]
    filename: Vec<PathBuf>,

    /// Read subdirectories too
    #[arg(short = 'R', long)]
    recursive: bool,

    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: DifferenceFormat,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let read = async |text: &str| side(text, args.namespace.as_deref(), args.recursive, &args.connect).await;
    let mut sides = [read(&args.from).await?, read(&args.to).await?];
    // Two files with one policy each are compared whatever the names.
    let [from, to] = &mut sides;
    if from.is_file && to.is_file && from.side.policies.len() == 1 && to.side.policies.len() == 1 {
        from.side.is_template = true;
    }
    if sides.iter().any(|side| side.is_cluster)
        && let Some(policy) = sides
            .iter()
            .filter(|side| side.is_file)
            .flat_map(|side| &side.side.policies)
            .find(|policy| policy.namespace.is_none() && !policy.is_cluster)
    {
        bail!("policy {} in a file names no namespace: give it by -n", policy.name);
    }
    let [from, to] = sides.map(|side| side.side);
    if args.impact {
        return show_impact(from, to, args).await;
    }
    let found = differences(&from, &to);
    to_stdout(|out| args.output.write(&from.name, &to.name, &found, out))?;
    Ok(if found.is_empty() { ExitStatus::Clean } else { ExitStatus::Findings })
}

async fn show_impact(from: PolicySide, to: PolicySide, args: &Args) -> anyhow::Result<ExitStatus> {
    #[expect(clippy::disallowed_methods, reason = "a one-shot command reads the clock once, here")]
    let now = Timestamp::now();
    let options = args.connect.options();
    let is_of_files = !args.filename.is_empty();
    let [from, to] = [resolve(from, is_of_files, &options).await?, resolve(to, is_of_files, &options).await?];
    let policies = ImpactPolicies::new(&from, &to, args.namespace.as_deref(), now)?;
    let objects = match args.filename.as_slice() {
        [] => Objects::Cluster(&options),
        paths => Objects::Files(paths, args.recursive),
    };
    let found = impact(&policies, objects, args.namespace.as_deref()).await?;
    to_stdout(|out| args.output.write_impact(&found, out))?;
    found.errors.iter().try_for_each(terminal::error)?;
    if found.namespaces.is_empty() {
        terminal::note("nothing was evaluated: no object that a policy of either side covers was read")?;
    }
    Ok(match (found.errors.is_empty(), found.differs()) {
        (false, _) => ExitStatus::Failed,
        (true, false) => ExitStatus::Clean,
        (true, true) => ExitStatus::Findings,
    })
}
