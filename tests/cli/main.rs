//! The real binary, as a user runs it: what it prints, where, and with which exit status.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod bad_input;
mod catalogue;
#[path = "../common/policies.rs"]
mod invalid_policies;
mod live;
mod policies;
mod report;
#[cfg(unix)]
mod terminal;
mod yaml;

use std::path::Path;

use assert_cmd::Command;

/// What a run of the binary printed, and how it ended.
struct Run {
    stdout: String,
    stderr: String,
    status: i32,
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.stdout)?;
        if !self.stderr.is_empty() {
            write!(f, "----- stderr\n{}", self.stderr)?;
        }
        write!(f, "----- exit {}", self.status)
    }
}

/// Runs the binary in the project's root, away from any cluster of the user's.
fn run(args: &[&str]) -> Run {
    run_in(Path::new(env!("CARGO_MANIFEST_DIR")), args, "")
}

fn run_in(directory: &Path, args: &[&str], stdin: &str) -> Run {
    let output = Command::cargo_bin("kube-devops")
        .unwrap()
        .current_dir(directory)
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("HOME", directory)
        .env("USERPROFILE", directory)
        .args(args)
        .write_stdin(stdin)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace('\\', "/").replace("\r\n", "\n");
    Run { stdout: text(output.stdout), stderr: text(output.stderr), status: output.status.code().unwrap() }
}

/// A directory that holds the files given by name and content.
fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    directory
}
