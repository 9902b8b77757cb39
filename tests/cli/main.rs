//! The real binary, as a user runs it: what it prints, where, and with which exit status.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod bad_input;
mod baseline;
mod bundles;
mod catalogue;
mod changes;
#[cfg(unix)]
mod charts;
mod compare;
mod config;
mod custom_rules;
mod deploy;
mod evaluated_objects;
mod exemptions;
mod fleet;
mod formats;
mod github_action;
mod gitlab_template;
#[cfg(unix)]
mod html_page;
mod import;
mod inputs;
#[path = "../common/policies.rs"]
mod invalid_policies;
mod kustomizations;
mod lines;
mod live;
mod policies;
mod pre_commit;
mod relations;
mod report;
#[path = "../common/shapes.rs"]
mod shapes;
#[cfg(unix)]
mod terminal;
mod urls;
mod yaml;

use std::path::Path;

use assert_cmd::Command;

/// The output and the exit status of a run of the binary.
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
    finish(command(directory, args).write_stdin(stdin))
}

/// Runs the binary with variables of the environment.
fn run_with(directory: &Path, args: &[&str], variables: &[(&str, &str)]) -> Run {
    finish(command(directory, args).envs(variables.iter().copied()))
}

fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("kube-devops").unwrap();
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"] {
        command.env_remove(variable).env_remove(variable.to_lowercase());
    }
    command
        .current_dir(directory)
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("HOME", directory)
        .env("USERPROFILE", directory)
        .args(args);
    command
}

fn finish(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace('\\', "/").replace("\r\n", "\n");
    Run { stdout: text(output.stdout), stderr: text(output.stderr), status: output.status.code().unwrap() }
}

/// Replaces lists of all rules, and of all parameters, so that a snapshot does not depend on them.
fn without_lists(text: &str) -> String {
    let ids: Vec<&str> = kube_devops::rules::RULES.iter().map(|rule| rule.id.as_str()).collect();
    let parameters = kube_devops::rules::RULES.iter().flat_map(|rule| rule.parameters);
    let parameters: std::collections::BTreeSet<&str> = parameters.map(|parameter| parameter.name).collect();
    let parameters = Vec::from_iter(parameters).join(", ");
    let mut text = text.replace(&ids.join(", "), "<rules>").replace(&parameters, "<parameters>");
    for shown in 1..ids.len() {
        let list = format!("{} and {} more", ids[..shown].join(", "), ids.len() - shown);
        text = text.replace(&list, "<rules>");
    }
    let lines = text.lines().map(|line| match line.split_once("the fields here are ") {
        Some((head, fields)) if fields.starts_with(ids[0]) => {
            format!("{head}the fields here are <rules>")
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
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
