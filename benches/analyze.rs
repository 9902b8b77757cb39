//! Measures the time and memory of `kube-devops analyze` on large inputs.
//!
//!     cargo bench --bench analyze -- [--pods 100000] [--pretty] [--dir PATH] [--shapes] [--ci]
//!
//! The first table compares the analysis of a pod list, by the default rules and by all rules, with a parse of the same
//! JSON on one thread. Both alternate, five times each, so that the load of the machine affects both. The parse is timed
//! in its own process, from bytes already in memory; `analyze` is timed from its start to its end. With `--dir`, the
//! manifests of a directory are measured too (`analyze -R`).
//!
//! The second table compares each shape of input and output with a similar cheap one. With `--shapes`, it is the only
//! table.
//!
//! The other tables are about CI: each format of a report, and a repository of 3,000 files with and without a
//! configuration, a baseline and `--changed-since`. With `--ci`, they are the only ones.

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

#[path = "analyze/ci.rs"]
mod ci;
#[path = "../tests/common/generate.rs"]
mod generate;
#[path = "../tests/common/shapes.rs"]
mod shapes;

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;
use shapes::Spelling;
use wait4::Wait4;

const ROUNDS: usize = 5;
const STARTS: usize = 20;
const SEED: u64 = 42;
const KUBE_DEVOPS: &str = env!("CARGO_BIN_EXE_kube-devops");
/// Makes this program parse files and print the time in nanoseconds.
const WALK: &str = "--walk";

struct Settings {
    pods: usize,
    pretty: bool,
    directory: Option<PathBuf>,
    only: Only,
}

/// The tables to print.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Only {
    All,
    Shapes,
    Ci,
}

/// One run of a process.
struct Run {
    wall: Duration,
    cpu: Duration,
    peak: u64,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, path] = arguments.as_slice()
        && flag == WALK
    {
        println!("{}", walk(Path::new(path))?.as_nanos());
        return Ok(());
    }
    // `cargo test --benches` runs this program without the flag, and then nothing is measured.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let settings = parse(&arguments)?;
    let scratch = tempfile::tempdir()?;
    if settings.only != Only::Ci {
        let file = scratch.path().join("pods.json");
        generate_file(&settings, &file)?;
        if settings.only == Only::All {
            compare_with_walks(&settings, &file)?;
        }
        compare_shapes(&settings, &file, scratch.path())?;
    }
    if settings.only != Only::Shapes {
        ci::compare_formats(settings.pods, scratch.path())?;
        ci::compare_repository(scratch.path())?;
    }
    let start = || run(scratch.path(), &["version"], None, "kube-devops version");
    let starts = (0..STARTS).map(|_| start()).collect::<Result<Vec<_>>>()?;
    let start = median(starts.iter().map(|run| run.wall).collect());
    println!("\nstart (version): {:.1} ms", 1_000.0 * start.as_secs_f64());
    Ok(())
}

fn compare_with_walks(settings: &Settings, file: &Path) -> Result<()> {
    println!(
        "{:<12} {:>9} {:>9} {:>9} {:>7} {:>8} {:>9}",
        "input", "size MiB", "walk s", "analyze s", "ratio", "CPU s", "peak MiB"
    );
    compare(&format!("{} pods", settings.pods), file, &["-f"])?;
    compare("--rules all", file, &["--rules", "all", "-f"])?;
    if let Some(directory) = &settings.directory {
        compare("directory", directory, &["-R", "-f"])?;
    }
    Ok(())
}

/// A shape of input, and the flags to read it with.
struct Shape {
    name: &'static str,
    flags: &'static [&'static str],
    input: PathBuf,
    /// The first lines of the output.
    expected: &'static str,
    /// The shape that it is compared with.
    twin: Option<&'static str>,
}

/// Measures all shapes alternately and prints their medians, one shape a line.
fn compare_shapes(settings: &Settings, pods: &Path, scratch: &Path) -> Result<()> {
    const SUMMARY: &str = "Workload Pods Analyzed";
    let make = |name: &str, write: &dyn Fn(&mut BufWriter<File>) -> std::io::Result<()>| -> Result<PathBuf> {
        let path = scratch.join(name);
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        write(&mut out).and_then(|()| out.flush()).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    };
    let count = settings.pods;
    let spelled = |name: &str, spelling| make(name, &|out| shapes::write_deployments(out, count, spelling));
    let bad = make("bad.json", &|out| shapes::write_bad_pods(out, count))?;
    let links = scratch.join("links");
    shapes::make_links(&links, 16)?;
    let shape = |name, flags, input: &Path, expected, twin| Shape {
        name,
        flags,
        input: input.to_owned(),
        expected,
        twin,
    };
    let shapes = [
        shape("pods", &["-f"], pods, SUMMARY, None),
        shape("pods, -o json", &["-o", "json", "-f"], pods, "\"kind\": \"Report\"", Some("pods")),
        shape("bad pods", &["-f"], &bad, SUMMARY, None),
        shape("bad pods, -o json", &["-o", "json", "-f"], &bad, "\"kind\": \"Report\"", Some("bad pods")),
        shape("bad pods, -o yaml", &["-o", "yaml", "-f"], &bad, "kind: Report", Some("bad pods")),
        shape("bad pods, -o wide", &["-o", "wide", "-f"], &bad, "NAMESPACE", Some("bad pods")),
        shape("bad pods, -o table", &["-o", "table", "-f"], &bad, "NAMESPACE", Some("bad pods")),
        shape("List", &["-f"], &spelled("list.json", Spelling::List)?, SUMMARY, None),
        shape("JSON lines", &["-f"], &spelled("lines.json", Spelling::Lines)?, SUMMARY, Some("List")),
        shape(
            "JSON documents",
            &["-f"],
            &spelled("documents.json", Spelling::Documents)?,
            SUMMARY,
            Some("List"),
        ),
        shape(
            "kind behind items",
            &["-f"],
            &spelled("sorted.json", Spelling::Sorted)?,
            SUMMARY,
            Some("List"),
        ),
        shape("directory links", &["-R", "-f"], &links, SUMMARY, None),
    ];
    let mut runs: Vec<Vec<Run>> = shapes.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (shape, runs) in shapes.iter().zip(&mut runs) {
            let flags = [&["analyze"], shape.flags].concat();
            runs.push(run(scratch, &flags, Some(&shape.input), shape.expected)?);
        }
    }
    println!(
        "\n{:<20} {:>9} {:>8} {:>8} {:>9} {:>9}",
        "shape", "size MiB", "wall s", "CPU s", "of twin", "peak MiB"
    );
    let cpu = |runs: &[Run]| median(runs.iter().map(|run| run.cpu).collect()).as_secs_f64();
    for (shape, of_shape) in shapes.iter().zip(&runs) {
        let size: u64 =
            files_of(&shape.input).iter().map(|path| fs::metadata(path).map_or(0, |file| file.len())).sum();
        let wall = median(of_shape.iter().map(|run| run.wall).collect()).as_secs_f64();
        let twin = shape.twin.and_then(|twin| shapes.iter().position(|shape| shape.name == twin));
        let ratio = twin.map_or(String::new(), |twin| format!("{:.2}", cpu(of_shape) / cpu(&runs[twin])));
        let peak = of_shape.iter().map(|run| run.peak).max().unwrap_or(0) >> 20;
        println!(
            "{:<20} {:>9} {wall:>8.3} {:>8.3} {ratio:>9} {peak:>9}",
            shape.name,
            size >> 20,
            cpu(of_shape)
        );
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Settings> {
    let mut settings = Settings { pods: 100_000, pretty: false, directory: None, only: Only::All };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} takes a value"));
        match argument.as_str() {
            "--bench" => {}
            "--pods" => settings.pods = value()?.parse().context("--pods takes a number")?,
            "--pretty" => settings.pretty = true,
            "--shapes" => settings.only = Only::Shapes,
            "--ci" => settings.only = Only::Ci,
            "--dir" => settings.directory = Some(std::path::absolute(value()?)?),
            other => bail!("{other} is none of --pods N, --pretty, --dir PATH, --shapes and --ci"),
        }
    }
    Ok(settings)
}

fn generate_file(settings: &Settings, path: &Path) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    if settings.pretty {
        generate::write_pod_list_pretty(&mut out, settings.pods, SEED)?;
    } else {
        generate::write_pod_list(&mut out, settings.pods, SEED)?;
    }
    out.flush().with_context(|| format!("writing {}", path.display()))
}

/// Measures a parse and an analysis of the same input alternately and prints their medians.
fn compare(name: &str, input: &Path, flags: &[&str]) -> Result<()> {
    let size = files_of(input).iter().map(|path| Ok(fs::metadata(path)?.len())).sum::<Result<u64>>()?;
    let (mut walks, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        walks.push(walk_apart(input)?);
        let flags = [&["analyze"], flags].concat();
        runs.push(run(Path::new("."), &flags, Some(input), "Workload Pods Analyzed")?);
    }
    let base = median(walks).as_secs_f64();
    let wall = median(runs.iter().map(|run| run.wall).collect()).as_secs_f64();
    let cpu = median(runs.iter().map(|run| run.cpu).collect()).as_secs_f64();
    let peak = runs.iter().map(|run| run.peak).max().unwrap_or(0);
    let ratio = wall / base;
    println!(
        "{name:<12} {:>9} {base:>9.3} {wall:>9.3} {ratio:>7.2} {cpu:>8.3} {:>9}",
        size >> 20,
        peak >> 20
    );
    Ok(())
}

/// Runs the command in a directory. Its output must contain the expected text, because a command that does nothing would be the
/// fastest.
fn run(directory: &Path, arguments: &[&str], input: Option<&Path>, expected: &str) -> Result<Run> {
    // The peak memory of a new process starts at that of its parent, so this process stays small and holds no input.
    let start = Instant::now();
    let mut child = Command::new(KUBE_DEVOPS)
        .args(arguments)
        .args(input)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("starting {KUBE_DEVOPS}"))?;
    let mut stdout = child.stdout.take().context("there is no stdout")?;
    // The start of the output proves the work, and this process stays small.
    let mut output = Vec::new();
    (&mut stdout).take(4096).read_to_end(&mut output)?;
    std::io::copy(&mut stdout, &mut std::io::sink())?;
    let output = String::from_utf8_lossy(&output);
    let used = child.wait4()?;
    let wall = start.elapsed();
    let command = arguments.join(" ");
    // Status 1 means findings, and 2 means that a directory held other files too. The output proves the work.
    ensure!(matches!(used.status.code(), Some(0..=2)), "kube-devops {command} failed: {}", used.status);
    ensure!(output.contains(expected), "kube-devops {command} did not print {expected:?}, but {output:?}");
    Ok(Run { wall, cpu: used.rusage.utime + used.rusage.stime, peak: used.rusage.maxrss })
}

/// Runs the parse in its own process, so that its memory isn't counted here.
fn walk_apart(input: &Path) -> Result<Duration> {
    let output =
        Command::new(std::env::current_exe()?).arg(WALK).arg(input).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the walk over {} failed: {}", input.display(), output.status);
    Ok(Duration::from_nanos(String::from_utf8(output.stdout)?.trim().parse()?))
}

/// Parses everything on this thread and drops it. The time excludes reading the files.
fn walk(input: &Path) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for path in files_of(input) {
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let start = Instant::now();
        if path.extension().is_some_and(|extension| extension == "json") {
            black_box(serde_json::from_slice::<IgnoredAny>(&bytes)?);
        } else {
            for document in yaml_serde::Deserializer::from_slice(&bytes) {
                // The parser repeats a syntax error forever.
                if black_box(IgnoredAny::deserialize(document)).is_err() {
                    break;
                }
            }
        }
        total += start.elapsed();
    }
    Ok(total)
}

/// Returns the file itself, or all manifests below a directory.
fn files_of(input: &Path) -> Vec<PathBuf> {
    let manifest = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["json", "yaml", "yml"].iter().any(|known| extension == *known))
    };
    let entries = walkdir::WalkDir::new(input).sort_by_file_name().into_iter().filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .filter(manifest)
        .collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
