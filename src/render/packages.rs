//! Renders all packages of the inputs, several at once, and puts the results in their places.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use futures::{StreamExt as _, stream};
use tokio::runtime;

use super::chart::Chart;
use super::kustomization::{self, canonical};
use super::links;
use super::options::Options;
use super::origins::{Origins, Part, Templates, documents};
use super::program::ProgramError;
use super::template_lines::kind_line;
use crate::files::{Listed, Package, PackageKind, ReadFailure, Source};

/// The inputs after the rendering.
#[derive(Debug, Default)]
pub struct Rendering {
    /// The streams of manifests.
    pub sources: Vec<Source>,
    /// The paths and packages that can't be read.
    pub unread: Vec<ReadFailure>,
    /// The packages that no installed program renders, by their directories.
    pub unrendered: Vec<ReadFailure>,
    /// The files behind rendered objects.
    pub origins: Origins,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// The files and directories that each package is made of, by the names of its source and of its errors.
    pub inputs: HashMap<String, Vec<PathBuf>>,
}

/// One run of a program.
struct Job {
    package: Package,
    /// The chart, and the values file of its variant.
    chart: Option<(Chart, Option<PathBuf>)>,
    /// The files and directories that the package is made of.
    inputs: Vec<PathBuf>,
    /// A reason to render nothing.
    refusal: Option<String>,
}

/// Renders the packages among the inputs, and keeps everything else as it is.
///
/// A package that can't be rendered becomes an entry of `unread`, or of `unrendered` if no program is installed. Fails if there is no place for temporary files.
pub fn render(listed: Vec<Listed>, options: &Options) -> io::Result<Rendering> {
    let mut rendering = Rendering::default();
    let mut packages = Vec::new();
    for listed in listed {
        match listed {
            Listed::Source(source) => rendering.sources.push(source),
            Listed::Package(package) => packages.push(package),
            Listed::Unread(unread) => rendering.unread.push(unread),
            Listed::Ignored(note) => rendering.notes.push(note),
        }
    }
    if packages.is_empty() {
        return Ok(rendering);
    }
    let mut covered = Covered::default();
    let jobs = jobs(packages, options, &mut covered);
    // A file or a kustomization that another one includes is evaluated as a part of that one.
    let is_covered =
        |source: &Source| matches!(source, Source::Found(path) if covered.files.contains(&canonical(path)));
    rendering.sources.retain(|source| !is_covered(source));
    let is_part =
        |package: &Package| !package.named && covered.bases.contains(&canonical(&package.directory));
    let jobs: Vec<_> = jobs.into_iter().filter(|job| !is_part(&job.package)).collect();
    let homes = jobs.iter().map(|_| tempfile::tempdir()).collect::<io::Result<Vec<_>>>()?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let at_once = thread::available_parallelism().map_or(1, NonZero::get);
    let runs = jobs.iter().zip(&homes).map(|(job, home)| job.run(options, home.path()));
    let results: Vec<_> = runtime.block_on(stream::iter(runs).buffered(at_once).collect());
    let mut collector = Collector { rendering, ..Collector::default() };
    for ((job, home), result) in jobs.into_iter().zip(&homes).zip(results) {
        collector.add(job, options, home.path(), result);
    }
    Ok(collector.rendering)
}

/// The files and directories that are parts of kustomizations.
#[derive(Default)]
struct Covered {
    files: BTreeSet<PathBuf>,
    bases: BTreeSet<PathBuf>,
}

fn jobs(packages: Vec<Package>, options: &Options, covered: &mut Covered) -> Vec<Job> {
    let mut jobs = Vec::new();
    for package in packages {
        match package.kind {
            PackageKind::Chart => jobs.extend(charts(&package, options)),
            PackageKind::Kustomization
                if !package.named && kustomization::is_component(&package.directory) => {}
            PackageKind::Kustomization => jobs.push(kustomization(package, covered)),
        }
    }
    jobs
}

/// Returns a job for each variant of a chart.
fn charts(package: &Package, options: &Options) -> Vec<Job> {
    let chart = Chart::read(&package.directory);
    if chart.is_library() && !package.named {
        return Vec::new();
    }
    let mut variants = if options.values.is_empty() { chart.variants() } else { Vec::new() };
    variants.retain(|file| !options.ignores(file));
    let variants = if variants.is_empty() { vec![None] } else { variants.into_iter().map(Some).collect() };
    let mut inputs = [vec![package.directory.clone()], options.values.clone()].concat();
    inputs.extend(links::targets(&package.directory));
    variants
        .into_iter()
        .map(|variant| Job {
            package: package.clone(),
            chart: Some((Chart::read(&package.directory), variant)),
            inputs: inputs.clone(),
            refusal: None,
        })
        .collect()
}

fn kustomization(package: Package, covered: &mut Covered) -> Job {
    let kustomization::Inputs { bases, files, remote } = kustomization::Inputs::of(&package.directory);
    let refusal = remote.map(|(directory, entry)| {
        format!(
            "{} names {entry}, which is no local file or directory, and nothing is downloaded: add a copy to the \
             repository, or run `{}`",
            directory.display(),
            by_hand(&package)
        )
    });
    covered.files.extend(files.iter().cloned());
    covered.bases.extend(bases.iter().cloned());
    // The directories count too, because a deleted file is in none of the lists.
    let directories = bases.into_iter().chain([package.directory.clone()]);
    let inputs = files.into_iter().chain(directories).collect();
    Job { package, chart: None, inputs, refusal }
}

/// Returns the command with which a user renders a package.
fn by_hand(package: &Package) -> String {
    let program = match package.kind {
        PackageKind::Chart => "helm template",
        PackageKind::Kustomization => "kubectl kustomize",
    };
    format!("{program} {} | kube-devops analyze -f -", package.directory.display())
}

impl Job {
    fn name(&self) -> String {
        let directory = self.package.directory.display();
        match self.chart.as_ref().and_then(|(_, variant)| variant.as_ref()?.file_name()) {
            Some(variant) => format!("{directory} (ci/{})", variant.display()),
            None => directory.to_string(),
        }
    }

    async fn run(&self, options: &Options, home: &Path) -> Result<Vec<u8>, ProgramError> {
        match &self.chart {
            _ if self.refusal.is_some() => Ok(Vec::new()),
            Some((chart, variant)) => chart.render(variant.as_deref(), options, home).await,
            None => kustomization::render(&self.package.directory, home).await,
        }
    }

    /// Returns the file behind a rendered document.
    fn origin(&self, document: &str, home: &Path) -> PathBuf {
        let directory = &self.package.directory;
        match &self.chart {
            Some((chart, _)) => chart.origin(document),
            None => kustomization::origin(document, home)
                .or_else(|| crate::files::kustomization_file(directory))
                .map_or_else(|| directory.clone(), |file| as_written(&file, directory)),
        }
    }
}

/// Returns a path as the user would write it: relative if the user's own path is, and if it is below the working directory.
fn as_written(file: &Path, directory: &Path) -> PathBuf {
    if let Ok(rest) = file.strip_prefix(canonical(directory)) {
        return directory.join(rest);
    }
    let here = canonical(Path::new("."));
    match file.strip_prefix(here) {
        Ok(rest) if directory.is_relative() => rest.to_owned(),
        _ => file.to_owned(),
    }
}

/// Takes the results of the jobs in their order.
#[derive(Default)]
struct Collector {
    rendering: Rendering,
    templates: Templates,
    /// The documents of each chart with variants. Two variants often share some.
    seen: HashSet<(PathBuf, String)>,
}

impl Collector {
    fn add(&mut self, job: Job, options: &Options, home: &Path, result: Result<Vec<u8>, ProgramError>) {
        let name = job.name();
        self.rendering.inputs.insert(name.clone(), job.inputs.clone());
        let result = match job.refusal.clone() {
            Some(refusal) => Err(refusal),
            None => match result {
                Ok(text) => String::from_utf8(text).map_err(|_| "what it renders to is not UTF-8".to_owned()),
                Err(ProgramError::Missing(_)) => return self.add_unrendered(job),
                Err(error) => Err(error.to_string()),
            },
        };
        match result {
            Ok(text) => self.add_text(&job, options, home, name, &text),
            Err(message) => {
                self.rendering.unread.push(ReadFailure { source: name, document: None, line: None, message });
            }
        }
    }

    fn add_text(&mut self, job: &Job, options: &Options, home: &Path, name: String, text: &str) {
        let has_variants = matches!(job.chart, Some((_, Some(_))));
        let (mut kept, mut parts, mut lines) = (String::new(), Vec::new(), 0);
        for document in documents(text) {
            let key = (job.package.directory.clone(), document.text.to_owned());
            if has_variants && !self.seen.insert(key) {
                continue;
            }
            let file = job.origin(document.text, home);
            if options.ignores(&file) {
                continue;
            }
            let template = self.templates.read(&file);
            parts.push(Part {
                first: lines + 1,
                file: file.display().to_string(),
                line: kind_line(document.text, &template).unwrap_or(1),
                template,
                document: document.text.to_owned(),
            });
            kept.push_str("---\n");
            kept.push_str(document.text);
            if !kept.ends_with('\n') {
                kept.push('\n');
            }
            lines += 1 + document.text.lines().count();
        }
        if parts.is_empty() {
            self.rendering.notes.push(format!("{name}: no object is rendered from it"));
            return;
        }
        self.rendering.origins.add(name.clone(), parts);
        self.rendering.sources.push(Source::Rendered { name, text: kept.into_bytes().into() });
    }

    /// Notes once for all variants of a package that no program for it is installed.
    fn add_unrendered(&mut self, job: Job) {
        let source = job.package.directory.display().to_string();
        let Rendering { unrendered, inputs, .. } = &mut self.rendering;
        if unrendered.iter().any(|known| known.source == source) {
            return;
        }
        let by_hand = by_hand(&job.package);
        let message = match job.package.kind {
            PackageKind::Chart => format!(
                "the chart was not evaluated, because helm is not installed: install it, or run `{by_hand}` where it is"
            ),
            PackageKind::Kustomization => format!(
                "the kustomization was not evaluated, because neither kustomize nor kubectl is installed: install one, or \
                 run `{by_hand}` where one is; --render never reads the files as they are"
            ),
        };
        inputs.insert(source.clone(), job.inputs);
        unrendered.push(ReadFailure { source, document: None, line: None, message });
    }
}
