//! `kube-devops analyze`: one report on manifests, or on a live cluster.

mod baseline_args;
mod changed_args;
mod compare_args;
mod config_args;
mod evaluator;
mod fill;
mod flags;
mod gates;
pub(super) mod live;
mod manifest_args;
mod manifests;
mod output_parser;
mod outputs;
pub(super) mod related;
mod render_args;
mod rule_args;
mod rules_file;
mod settings;

use jiff::Timestamp;

use super::args::{ConnectArgs, ScopeArgs};
use super::progress_spinner::ProgressSpinner;
use super::{ExitStatus, block_on};
use crate::governance::{Analysis, compare};
use crate::output::Notes;
use crate::terminal::to_stderr;
use crate::workload::Kind;
pub(super) use baseline_args::BaselineArgs;
use compare_args::CompareArgs;
pub(super) use config_args::ConfigArgs;
pub(super) use gates::GateArgs;
use manifest_args::ManifestArgs;
use outputs::OutputArgs;
pub(super) use rule_args::RuleArgs;
pub(super) use settings::settings;

/// Score a cluster or manifests, and list what to fix first.
///
/// On a cluster, pods are evaluated. Workloads are listed, too, if a rule looks at them. A template that is in the input is
/// evaluated unless one of its pods is.
///
/// Exit status: 0 when the report is within the thresholds, 1 when it is past --fail-under, --fail-under-compliance or
/// --fail-on, 2 when something could not be read, or when nothing but charts and kustomizations without a program to
/// render them was found. With a threshold, it is also 2 when nothing was evaluated, in the whole input or in a
/// namespace of -n; --allow-empty accepts that.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    manifests: ManifestArgs,

    #[command(flatten)]
    scope: ScopeArgs,

    #[command(flatten)]
    rules: RuleArgs,

    #[command(flatten)]
    outputs: OutputArgs,

    #[command(flatten)]
    gates: GateArgs,

    #[command(flatten)]
    baseline: BaselineArgs,

    #[command(flatten)]
    config: ConfigArgs,

    #[command(flatten)]
    compare: CompareArgs,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(mut args: Args) -> anyhow::Result<ExitStatus> {
    let (policy, exemptions) = args.configure()?;
    let baseline = args.baseline.read()?;
    let scope = args.scope.scope()?;
    #[expect(clippy::disallowed_methods, reason = "a one-shot command reads the clock once, here")]
    let now = Timestamp::now();
    let mut analysis =
        Analysis::new(&policy, &scope, now, args.keeps_violations()).with_exemptions(&exemptions);
    if let Some(inputs) = args.compare.inputs() {
        return compare_args::run(&inputs, &mut args, &scope, &analysis);
    }
    let progress = ProgressSpinner::start();
    let (mut report, input, skipped_namespaces) = if args.manifests.is_empty() {
        args.manifests.check_flags()?;
        let (options, selector) = (args.connect.options(), args.scope.selector());
        let left_out = block_on(live::read(&options, selector, &scope, &mut analysis, &progress))?;
        (analysis.finish(), left_out.notes, left_out.namespaces)
    } else {
        let (report, notes) = manifests::report(&args.manifests, &args.request(&scope), analysis, &progress)?;
        (report, notes, Vec::new())
    };
    drop(progress);
    let has_failed = report.has_failed() | !args.baseline.write(&report)?;
    if let Some(baseline) = &baseline {
        compare(&mut report, baseline, &scope, args.manifests.complete);
    }
    args.outputs.write(&mut report, args.filters())?;
    let notes = Notes {
        report: &report,
        input: &input,
        templates: !args.manifests.is_empty() || policy.lists().contains(Kind::Template),
        complete: args.manifests.complete,
        namespaces: &scope.namespaces,
        changed_since: args.manifests.changed_since(),
        selector: args.scope.selector(),
        skipped_namespaces: &skipped_namespaces,
        lists_other_kinds: args.outputs.lists_other_kinds(),
    };
    let gates = args.thresholds(baseline.is_some()).check(&report, &scope.namespaces);
    to_stderr(|err| notes.write(err).and_then(|()| gates::write(&gates, err)))?;
    Ok(gates::exit_status(has_failed, &gates))
}
