//! `kube-devops policy bundle-show`.

use crate::commands::ExitStatus;
use crate::commands::args::bundle;
use crate::output::ManifestFormat;
use crate::terminal::to_stdout;

/// Print the DevOpsPolicy of a bundle, ready for `kubectl apply -n NAMESPACE -f -`.
///
/// With --as-bundle it prints a start for a bundle of your own.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Bundle: a name that `policy bundle-list` shows, or a path such as ./team.yaml or ./bundles/team
    #[arg(value_name = "BUNDLE")]
    bundle: String,

    /// Print a bundle for a file of your own instead of a policy
    #[arg(long)]
    as_bundle: bool,

    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: ManifestFormat,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let bundle = bundle(&args.bundle)?;
    let object = if args.as_bundle { bundle.source() } else { bundle.manifest(&bundle.name, None, None) };
    to_stdout(|out| args.output.write(&[object], out.exact()))?;
    Ok(ExitStatus::Clean)
}
