//! `kube-devops analyze`: one report of files, or of a live cluster.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use jiff::Timestamp;
use serde::Deserialize;

use super::ExitStatus;
use super::args::{ConnectArgs, ScopeArgs};
use super::block_on;
use super::progress::Progress;
use crate::cluster::{self, ListRequest, RawObject};
use crate::files::{self, Inputs, Place};
use crate::governance::{Analysis, Origin, Report, ReportError, Scope};
use crate::output::{Format, to_stderr, to_stdout};
use crate::policy::EffectivePolicy;
use crate::rules::Severity;
use crate::workload::{Object, Parsed, Workload, WorkloadKind};

/// Score a cluster, or manifests without any cluster, and say what to fix first.
///
/// Of a cluster the pods are judged, of manifests also the templates of workloads whose pods aren't among them.
///
/// Exit status: 0 when the findings are within the thresholds, 1 when they are past --fail-under or --fail-on, 2 when
/// something could not be read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Judge manifests: a file, a directory, or - for standard input (repeatable)
    #[arg(short = 'f', long, value_name = "PATH", conflicts_with_all = ["kubeconfig", "context"])]
    filename: Vec<PathBuf>,

    /// Read directories within the directories of -f too
    #[arg(short = 'R', long, requires = "filename")]
    recursive: bool,

    #[command(flatten)]
    scope: ScopeArgs,

    /// Judge all that is read under the DevOpsPolicy in this file, whatever its namespace, instead of the default rules
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// How to print the report
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,

    /// Exit with 1 when the score is below this
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true,
        value_parser = score)]
    fail_under: Option<u8>,

    /// Exit with 1 when anything of this severity or worse is found
    #[arg(long, value_name = "SEVERITY", ignore_case = true,
        value_parser = severities().try_map(|name| name.parse::<Severity>()))]
    fail_on: Option<Severity>,

    #[command(flatten)]
    connect: ConnectArgs,
}

/// Reads a score to compare with.
fn score(text: &str) -> Result<u8, &'static str> {
    text.parse().ok().filter(|score| *score <= 100).ok_or("give a whole number from 0 to 100")
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let policy = match &args.policy {
        Some(path) => read_policy(path)?,
        None => EffectivePolicy::default(),
    };
    let scope = args.scope.scope()?;
    #[expect(clippy::disallowed_methods, reason = "the edge at which a one-shot command reads the clock")]
    let now = Timestamp::now();
    let mut analysis = Analysis::new(&policy, &scope, now, args.output.shows_violations());
    let progress = Progress::start();
    let skipped = if args.filename.is_empty() {
        block_on(read_cluster(args, &scope, &mut analysis, &progress))?
    } else {
        read_files(args, &mut analysis, &progress);
        Vec::new()
    };
    drop(progress);
    let report = analysis.finish();
    to_stdout(|out| args.output.write(&report, out))?;
    to_stderr(|err| args.explain(&report, &scope, &skipped, err))?;
    Ok(args.status(&report))
}

/// Lists the severities, so that errors, help and completions all name them.
fn severities() -> PossibleValuesParser {
    PossibleValuesParser::new(Severity::ALL.map(Severity::as_str))
}

impl Args {
    fn status(&self, report: &Report) -> ExitStatus {
        if report.summary.partial {
            ExitStatus::Failed
        } else if !self.passed(report).is_empty() {
            ExitStatus::Findings
        } else {
            ExitStatus::Clean
        }
    }

    /// The thresholds that the report is past, each in a sentence.
    fn passed(&self, report: &Report) -> Vec<String> {
        let mut passed = Vec::new();
        if let (Some(bound), Some(score)) = (self.fail_under, report.summary.score)
            && score.value() < bound
        {
            passed.push(format!("the score of {} is below --fail-under {bound}", score.value()));
        }
        if let (Some(bound), Some(worst)) = (self.fail_on, report.worst)
            && worst >= bound
        {
            passed.push(format!("the worst violation is {worst}, and --fail-on is {bound}"));
        }
        passed
    }

    /// Says on stderr what the figures alone don't: what could not be read, what was left out, why nothing was judged,
    /// and which thresholds are passed.
    fn explain(
        &self,
        report: &Report,
        scope: &Scope,
        skipped: &[String],
        err: &mut dyn Write,
    ) -> io::Result<()> {
        for error in &report.errors {
            writeln!(err, "error: {error}")?;
        }
        let nothing_judged = report.summary.pods == 0 && report.summary.score.is_some();
        let judging = if nothing_judged { "nothing was judged: " } else { "" };
        let (one, many) =
            if self.filename.is_empty() { ("pod", "pods") } else { ("pod or template", "pods or templates") };
        let mut asked = Vec::new();
        if !scope.namespaces.is_empty() {
            asked.push(format!("is in namespace {}", scope.namespaces.join(" or ")));
        }
        asked.extend(self.scope.selector().map(|labels| format!("has the labels {labels}")));
        match report.left_out {
            0 if nothing_judged && report.selected == 0 && !asked.is_empty() => {
                writeln!(err, "note: {judging}no {one} that was read {}", asked.join(" and "))?;
            }
            0 if nothing_judged => writeln!(err, "note: {judging}no pod in what was read runs or would run")?,
            0 => {}
            1 => writeln!(
                err,
                "note: {judging}1 {one} in a system namespace was left out (--include-system judges it)"
            )?,
            count => writeln!(
                err,
                "note: {judging}{count} {many} in system namespaces were left out (--include-system judges them)"
            )?,
        }
        match report.other_kinds() {
            _ if matches!(self.output, Format::Json | Format::Yaml) => {}
            (0, _) => {}
            (1, _) => writeln!(err, "note: 1 object of another kind was not judged (-o json lists it)")?,
            (count, 1) => {
                writeln!(err, "note: {count} objects of another kind were not judged (-o json lists them)")?;
            }
            (count, kinds) => writeln!(
                err,
                "note: {count} objects of {kinds} other kinds were not judged (-o json lists them)"
            )?,
        }
        if !skipped.is_empty() {
            let names = skipped.join(", ");
            writeln!(err, "note: system namespaces were not read: {names} (--include-system judges them)")?;
        }
        for threshold in self.passed(report) {
            writeln!(err, "failed: {threshold}")?;
        }
        Ok(())
    }
}

fn read_policy(path: &PathBuf) -> anyhow::Result<EffectivePolicy> {
    let place = || format!("policy {}", path.display());
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{}: there is no such file", place()),
        read => read.with_context(place)?,
    };
    let policy = EffectivePolicy::from_manifest(&text).with_context(place)?;
    if policy.rules().is_empty() {
        to_stderr(|err| writeln!(err, "note: {} turns no rule on, so nothing can violate it", place()))?;
    }
    Ok(policy)
}

fn read_files(args: &Args, analysis: &mut Analysis<'_>, progress: &Progress) {
    let inputs = Inputs { paths: args.filename.clone(), recursive: args.recursive };
    let found = files::read(
        &inputs,
        args.output.shows_violations(),
        &FileConsumer { empty: analysis.part(), progress },
    );
    for found in found {
        analysis.merge(found.part);
        for unread in found.unread {
            let files::Unread { source, document, line, message } = unread;
            analysis.fail(ReportError { source, document, line, message });
        }
    }
}

/// Judges the pods of a cluster, page by page; the system namespaces that were not even read.
async fn read_cluster(
    args: &Args,
    scope: &Scope,
    analysis: &mut Analysis<'_>,
    progress: &Progress,
) -> anyhow::Result<Vec<String>> {
    let cluster = match cluster::connect(&args.connect.options()).await {
        Ok(cluster) => cluster,
        Err(error) => {
            analysis.fail(unread("connect to the cluster".to_owned(), error.to_string()));
            return Ok(Vec::new());
        }
    };
    // The API server selects by label, so that what isn't asked for is never sent.
    let request = ListRequest { namespaces: scope.namespaces.clone(), selector: args.scope.selector() };
    let empty = analysis.part();
    let add = |part: &mut Analysis<'_>, page: &str| {
        match serde_json::from_str::<Object<'_>>(page) {
            Ok(list) => {
                if let Parsed::List(pods) = &list.parsed {
                    progress.add(pods.len() as u64);
                }
                part.add(&list, None);
            }
            Err(_) => add_one_by_one(part, page, scope, progress)?,
        }
        Ok(())
    };
    let listing =
        cluster::list_pods(&cluster, &request, |namespace| scope.leaves_out(namespace), || empty.part(), add)
            .await;
    for part in listing.parts {
        analysis.merge(part);
    }
    for cluster::Unread { what, message } in listing.unread {
        analysis.fail(unread(what, message));
    }
    Ok(listing.skipped)
}

/// Judges the pods of a page of which one can't be read, and names that one.
fn add_one_by_one(
    part: &mut Analysis<'_>,
    page: &str,
    scope: &Scope,
    progress: &Progress,
) -> Result<(), serde_json::Error> {
    #[derive(Deserialize)]
    struct Page {
        items: Vec<RawObject>,
    }
    let Page { items } = serde_json::from_str(page)?;
    progress.add(items.len() as u64);
    for pod in items.iter().filter(|pod| !scope.leaves_out(pod.namespace())) {
        match Workload::from_json(WorkloadKind::Pod, pod.json()) {
            Ok(workload) => part.add_workload(&workload, None),
            Err(error) => {
                let (name, message) = files::explain_pod(pod.json(), error);
                part.fail(unread(format!("pod {name}"), message));
            }
        }
    }
    Ok(())
}

fn unread(source: String, message: String) -> ReportError {
    ReportError { source, document: None, line: None, message }
}

/// Judges the objects of files as they are read.
struct FileConsumer<'p, 'a> {
    empty: Analysis<'p>,
    progress: &'a Progress,
}

impl<'p> files::Consumer for FileConsumer<'p, '_> {
    type Part = Analysis<'p>;

    fn part(&self) -> Analysis<'p> {
        self.empty.part()
    }

    fn add(&self, part: &mut Analysis<'p>, object: &Object<'_>, place: Place<'_>) {
        self.progress.add(1);
        part.add(object, Some(Origin { source: place.source, line: place.line }));
    }

    fn merge(&self, into: &mut Analysis<'p>, part: Analysis<'p>) {
        into.merge(part);
    }
}
