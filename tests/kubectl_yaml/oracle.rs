//! Runs `kube-tests/kubectl-yaml`, which reads manifests with kubectl's own code.

use std::io::Write;
use std::process::{Command, Stdio};
use std::{env, thread};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

/// The documents of one stream; an error ends them.
pub(crate) type Documents = Vec<Result<Value, String>>;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    json: Option<Value>,
    #[serde(default)]
    error: Option<String>,
}

/// Reads streams as kubectl does; `None`, with a visible message, if Go is missing.
pub(crate) fn read(streams: &[Vec<u8>]) -> Option<Vec<Documents>> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/kube-tests/kubectl-yaml");
    let started = Command::new("go")
        .args(["run", "."])
        .current_dir(program)
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let requires_go = env::var_os("KUBE_DEVOPS_GO").is_some();
    let mut oracle = match started {
        Ok(oracle) => oracle,
        // `make test` sets the variable.
        Err(error) if !requires_go => {
            // `eprintln!` would show only if the test fails.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: nothing was compared with kubectl's own code: go: {error}"
            );
            return None;
        }
        Err(error) => panic!("go is missing, and the comparison with kubectl's own code needs it: {error}"),
    };
    let mut stdin = oracle.stdin.take().unwrap();
    let input: String = streams.iter().map(|stream| STANDARD.encode(stream) + "\n").collect();
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = oracle.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "kube-tests/kubectl-yaml failed");
    let lines = std::str::from_utf8(&output.stdout).unwrap().lines();
    let read: Vec<Documents> = lines
        .map(|line| {
            let documents: Vec<Document> = serde_json::from_str(line).unwrap();
            let outcome = |document: Document| match document.error {
                Some(error) => Err(error),
                None => Ok(document.json.unwrap_or_default()),
            };
            documents.into_iter().map(outcome).collect()
        })
        .collect();
    assert_eq!(read.len(), streams.len());
    Some(read)
}

/// Returns true if two values are the same JSON; `1.0` equals `1`.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}
