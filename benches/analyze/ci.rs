//! The measurements for CI: every format of a large report, and a repository with all that a pull request adds.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{ROUNDS, Run, median, run, shapes};

/// The formats with every violation, each with a text at the start of its output. The first one is the baseline.
const FORMATS: [(&str, &str); 10] = [
    ("json", "\"kind\": \"Report\""),
    ("yaml", "kind: Report"),
    ("table", "NAMESPACE"),
    ("wide", "NAMESPACE"),
    ("sarif", "\"version\":\"2.1.0\""),
    ("junit", "<testsuites"),
    ("github", "::error"),
    ("gitlab", "\"check_name\""),
    ("markdown", "## kube-devops"),
    ("html", "<!DOCTYPE html>"),
];
/// The manifests of the repository.
const FILES: usize = 3_000;

/// Measures each format of a report on pods that break every rule of the score, and prints the medians.
pub(super) fn compare_formats(pods: usize, scratch: &Path) -> Result<()> {
    let bad = scratch.join("every-finding.json");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&bad)?);
    shapes::write_bad_pods(&mut out, pods).and_then(|()| out.flush())?;
    let mut runs: Vec<Vec<Run>> = FORMATS.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for ((format, expected), runs) in FORMATS.iter().zip(&mut runs) {
            runs.push(run(scratch, &["analyze", "-o", format, "-f"], Some(&bad), expected)?);
        }
    }
    println!("\n{:<20} {:>8} {:>8} {:>9} {:>9}", "format", "wall s", "CPU s", "of json", "peak MiB");
    let json = seconds(&runs[0]).1;
    for ((format, _), of_format) in FORMATS.iter().zip(&runs) {
        let (wall, cpu) = seconds(of_format);
        let peak = of_format.iter().map(|run| run.peak).max().unwrap_or(0) >> 20;
        println!("{format:<20} {wall:>8.3} {cpu:>8.3} {:>9.2} {peak:>9}", cpu / json);
    }
    Ok(())
}

/// Measures a repository with a configuration, a baseline and `--changed-since`, and without them, and prints the medians.
pub(super) fn compare_repository(scratch: &Path) -> Result<()> {
    let repository = scratch.join("repository");
    write_repository(&repository)?;
    let plain = ["analyze", "--no-config", "-R", "-f", "manifests", "-o", "json"];
    let full = ["analyze", "--changed-since", "main", "-o", "json"];
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(run(&repository, &plain, None, "\"kind\": \"Report\"")?);
        with.push(run(&repository, &full, None, "\"kind\": \"Report\"")?);
    }
    println!(
        "\n{:<48} {:>8} {:>8} {:>9}",
        format!("repository of {FILES} files"),
        "wall s",
        "CPU s",
        "wall of 1"
    );
    let (base, cpu) = seconds(&without);
    println!("{:<48} {base:>8.3} {cpu:>8.3}", "1: alone");
    let (wall, cpu) = seconds(&with);
    let name = "2: configuration, baseline and --changed-since";
    println!("{name:<48} {wall:>8.3} {cpu:>8.3} {:>9.2}", wall / base);
    Ok(())
}

/// Returns the medians of the elapsed time and of the processors' time.
fn seconds(runs: &[Run]) -> (f64, f64) {
    let wall = median(runs.iter().map(|run| run.wall).collect());
    let cpu = median(runs.iter().map(|run| run.cpu).collect());
    (wall.as_secs_f64(), cpu.as_secs_f64())
}

/// Writes a repository with a baseline on the branch `main`, and a branch that changes one file in a hundred.
fn write_repository(repository: &Path) -> Result<()> {
    for number in 0..FILES {
        write_manifest(repository, number, 1)?;
    }
    let config = "inputs: [manifests]\nrecursive: true\nignore: ['*.gen.yaml', vendor/]\nbaseline: known.json\n\
                  severities: {latest-tag: medium}\nexemptions:\n- {paths: [manifests/7/], rules: [pending], reason: slow}\n";
    fs::write(repository.join(".kube-devops.yaml"), config)?;
    let known = ["analyze", "--write-baseline", "known.json", "--no-config", "-R", "-f", "manifests"];
    run(repository, &known, None, "Workload Pods Analyzed")?;
    git(repository, &["init", "--quiet", "--initial-branch=main"])?;
    git(repository, &["add", "."])?;
    git(repository, &["commit", "--quiet", "--message=all"])?;
    git(repository, &["checkout", "--quiet", "-b", "change"])?;
    for number in (0..FILES).step_by(100) {
        write_manifest(repository, number, 2)?;
    }
    git(repository, &["commit", "--quiet", "--all", "--message=change"])
}

/// Writes a Deployment and its Service; one of four Deployments has violations.
fn write_manifest(repository: &Path, number: usize, replicas: usize) -> Result<()> {
    let directory = repository.join(format!("manifests/{}", number % 50));
    fs::create_dir_all(&directory)?;
    let probes = if number.is_multiple_of(4) {
        ""
    } else {
        "\n        livenessProbe: {httpGet: {path: /live, port: 8080}}\n        readinessProbe: {httpGet: {path: /, port: 8080}}"
    };
    let text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop-{number}\n  namespace: team-{}\nspec:\n  \
         replicas: {replicas}\n  selector:\n    matchLabels: {{app: shop-{number}}}\n  template:\n    metadata:\n      \
         labels: {{app: shop-{number}}}\n    spec:\n      containers:\n      - name: shop\n        image: \
         registry.example.com/shop:{number}\n        ports:\n        - containerPort: 8080{probes}\n---\napiVersion: v1\n\
         kind: Service\nmetadata:\n  name: shop-{number}\n  namespace: team-{}\nspec:\n  selector: {{app: shop-{number}}}\n  \
         ports:\n  - port: 80\n    targetPort: 8080\n",
        number % 50,
        number % 50
    );
    let file = directory.join(format!("shop-{number}.yaml"));
    fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
}

fn git(repository: &Path, arguments: &[&str]) -> Result<()> {
    let who = ["-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false"];
    let status = Command::new("git").args(who).args(arguments).current_dir(repository).status();
    ensure!(status.context("starting git")?.success(), "git {arguments:?} failed");
    Ok(())
}
