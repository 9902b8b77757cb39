//! Upstream's fixtures and code, fetched as Go modules.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, thread};

use serde::Deserialize;
use serde_json::Value;

/// The version of the standards that the rules follow.
const VERSION: &str = "v1.37";

/// A pod of upstream's test data.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) level: String,
    /// The check that the pod fails; `None` for a pod that passes.
    pub(crate) fails: Option<String>,
    pub(crate) pod: Value,
}

/// Returns the fixtures of the newest version; `None`, with a visible message, if Go is missing.
pub(crate) fn fixtures() -> Option<Vec<Fixture>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Module {
        dir: PathBuf,
    }
    // The module's version is in `go.mod`.
    let found = run(&["mod", "download", "-json", "k8s.io/pod-security-admission"], Vec::new())?;
    let Module { dir } = serde_json::from_slice(&found).unwrap();
    let mut fixtures = Vec::new();
    for level in ["baseline", "restricted"] {
        for verdict in ["pass", "fail"] {
            let folder = dir.join("test/testdata").join(level).join(VERSION).join(verdict);
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let stem = path.file_stem().unwrap().to_str().unwrap();
                let check = stem.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
                fixtures.push(Fixture {
                    name: format!("{level}/{verdict}/{stem}"),
                    level: level.to_owned(),
                    fails: (verdict == "fail").then_some(check),
                    pod: yaml_serde::from_str(&fs::read_to_string(&path).unwrap()).unwrap(),
                });
            }
        }
    }
    Some(fixtures)
}

/// Returns the checks that each pod fails; `None`, with a visible message, if Go is missing.
pub(crate) fn evaluate(pods: &[Value]) -> Option<Vec<BTreeSet<String>>> {
    let input = pods.iter().map(|pod| pod.to_string() + "\n").collect::<String>();
    let output = run(&["run", "."], input.into_bytes())?;
    let lines = std::str::from_utf8(&output).unwrap().lines();
    let verdicts: Vec<_> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(verdicts.len(), pods.len());
    Some(verdicts)
}

fn run(args: &[&str], input: Vec<u8>) -> Option<Vec<u8>> {
    let started = Command::new("go")
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("kube-tests/pod-security"))
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let requires_go = env::var_os("KUBE_DEVOPS_GO").is_some();
    let mut go = match started {
        Ok(go) => go,
        // `make test` sets the variable.
        Err(error) if !requires_go => {
            // `eprintln!` would show only if the test fails.
            let _ = writeln!(std::io::stderr(), "SKIPPED: nothing was compared with upstream: go: {error}");
            return None;
        }
        Err(error) => panic!("go is missing, and the comparison with upstream needs it: {error}"),
    };
    let mut stdin = go.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = go.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "go {args:?} failed in kube-tests/pod-security");
    Some(output.stdout)
}
