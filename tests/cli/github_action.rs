//! The GitHub Action: its example is linted, and its steps run as scripts.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::directory;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: nginx}]}\n";

fn action() -> Value {
    yaml_serde::from_str(&fs::read_to_string(format!("{ROOT}/action.yml")).unwrap()).unwrap()
}

/// Returns the YAML example of `docs/ci.md` for a file.
pub(super) fn example(file: &str) -> String {
    let docs = fs::read_to_string(format!("{ROOT}/docs/ci.md")).unwrap();
    let start = format!("```yaml\n# {file}\n");
    let (_, text) = docs.split_once(&start).unwrap_or_else(|| panic!("docs/ci.md has no example for {file}"));
    text.split_once("```").unwrap().0.to_owned()
}

/// A job of one step, the Action, as a runner would keep it.
struct Job {
    directory: tempfile::TempDir,
    inputs: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
    base: String,
    pull_request: String,
    api: String,
}

impl Job {
    fn new(files: &[(&str, &str)], inputs: &[(&str, &str)]) -> Self {
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
        let directory = directory(&files);
        fs::create_dir_all(directory.path().join("runner")).unwrap();
        let action = action();
        let mut all: BTreeMap<String, String> = action["inputs"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, input)| (name.clone(), input["default"].as_str().unwrap_or_default().to_owned()))
            .collect();
        all.insert("binary".to_owned(), env!("CARGO_BIN_EXE_kube-devops").to_owned());
        all.extend(inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self {
            directory,
            inputs: all,
            outputs: BTreeMap::new(),
            base: String::new(),
            pull_request: String::new(),
            api: String::new(),
        }
    }

    /// Evaluates an expression such as `inputs.path`, in the few forms that the Action uses.
    fn evaluate(&self, expression: &str) -> String {
        if let Some((first, _)) = expression.split_once(" || format(") {
            return self.evaluate(first);
        }
        if let Some(name) = expression.strip_prefix("inputs.") {
            if let Some((name, event)) = name.split_once(" == 'true' && ") {
                let event = event.strip_suffix(" || ''").unwrap();
                return if self.inputs[name] == "true" { self.evaluate(event) } else { String::new() };
            }
            return self.inputs[name].clone();
        }
        match expression {
            "github.event.pull_request.base.sha" => self.base.clone(),
            "github.event.pull_request.number" => self.pull_request.clone(),
            _ => {
                let output = expression.strip_prefix("steps.review.outputs.");
                let output = output.unwrap_or_else(|| panic!("an unknown expression: {expression}"));
                self.outputs.get(output).cloned().unwrap_or_default()
            }
        }
    }

    /// Runs a step as a runner does: with bash, its variables and files for outputs and the summary.
    fn step(&mut self, id: &str) -> Output {
        let action = action();
        let steps = action["runs"]["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["id"] == id).unwrap();
        let runner = self.directory.path().join("runner");
        let script = runner.join("script.sh");
        fs::write(&script, step["run"].as_str().unwrap()).unwrap();
        let outputs = runner.join("outputs");
        fs::write(&outputs, "").unwrap();
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(&script).current_dir(&self.directory);
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap();
            let expression = value.strip_prefix("${{ ").and_then(|value| value.strip_suffix(" }}"));
            command.env(name, self.evaluate(expression.unwrap()));
        }
        let output = command
            .env("GITHUB_ACTION_PATH", ROOT)
            .env("GITHUB_OUTPUT", &outputs)
            .env("GITHUB_STEP_SUMMARY", runner.join("summary.md"))
            .env("GITHUB_REPOSITORY", "owner/name")
            .env("GITHUB_API_URL", &self.api)
            .env("RUNNER_TEMP", &runner)
            .output()
            .unwrap();
        let text = fs::read_to_string(&outputs).unwrap();
        self.outputs.extend(text.lines().filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        }));
        output
    }

    fn summary(&self) -> String {
        fs::read_to_string(self.directory.path().join("runner/summary.md")).unwrap_or_default()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_example_is_a_valid_workflow() {
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let is_required = std::env::var_os("KUBE_DEVOPS_GO").is_some();
    let workflow = example(".github/workflows/kube-devops.yml").replace("OWNER/kube-devops@REF", "./");
    assert!(workflow.contains("uses: ./"));
    let repository =
        directory(&[(".github/workflows/kube-devops.yml", workflow.as_bytes()), (".git/HEAD", b"")]);
    fs::copy(format!("{ROOT}/action.yml"), repository.path().join("action.yml")).unwrap();
    let file = repository.path().join(".github/workflows/kube-devops.yml");
    let lint = || {
        let mut go = Command::new("go");
        go.args(["tool", "actionlint", "-no-color"]).arg(&file).env("CGO_ENABLED", "0");
        go.current_dir(format!("{ROOT}/kube-tests/actionlint")).output()
    };
    let linted = match lint() {
        Ok(linted) => linted,
        Err(error) if !is_required => {
            // `eprintln!` would show only if the test fails.
            let _ = writeln!(std::io::stderr(), "SKIPPED: no workflow was linted: go: {error}");
            return;
        }
        Err(error) => panic!("go is missing, and the linter of workflows needs it: {error}"),
    };
    assert!(linted.status.success(), "{}{}", text(&linted.stdout), text(&linted.stderr));
    let wrong = workflow.replace("fail-on:", "fail-at:");
    fs::write(&file, wrong).unwrap();
    let linted = lint().unwrap();
    assert!(
        text(&linted.stdout).contains("fail-at"),
        "the linter knows the inputs: {}",
        text(&linted.stderr)
    );
}

#[test]
fn the_example_and_the_docs_name_the_inputs_of_the_action() {
    let docs = fs::read_to_string(format!("{ROOT}/docs/ci.md")).unwrap();
    for name in action()["inputs"].as_object().unwrap().keys() {
        assert!(docs.contains(&format!("\n| `{name}` |")), "docs/ci.md lacks the input {name}");
    }
}

#[test]
fn a_violation_fails_the_job_after_the_reports_are_written() {
    let mut job = Job::new(
        &[("deploy/pod.yaml", POD)],
        &[("path", "deploy\n"), ("args", "--rules=latest-tag\n-v=1\n")],
    );
    let review = job.step("review");
    assert!(review.status.success(), "{}", text(&review.stderr));
    assert!(text(&review.stdout).contains("::error file=deploy/pod.yaml,line=4"), "{}", text(&review.stdout));
    assert_eq!(job.outputs["status"], "1");
    let sarif: Value = serde_json::from_str(&fs::read_to_string(&job.outputs["sarif"]).unwrap()).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "latest-tag");
    assert_eq!(job.summary(), fs::read_to_string(&job.outputs["markdown"]).unwrap());
    assert_eq!(job.step("verdict").status.code(), Some(1));
    job.inputs.insert("fail-on".to_owned(), String::new());
    job.step("review");
    assert_eq!(job.step("verdict").status.code(), Some(0));
}

#[test]
fn a_wrong_argument_fails_the_job_without_reports() {
    let mut job = Job::new(&[("pod.yaml", POD)], &[("args", "--no-such-flag")]);
    let review = job.step("review");
    assert!(review.status.success());
    assert!(text(&review.stderr).contains("--no-such-flag"));
    assert_eq!(job.outputs.keys().collect::<Vec<_>>(), ["status"]);
    assert_eq!((job.step("verdict").status.code(), job.summary()), (Some(2), String::new()));
}

#[test]
fn a_pull_request_reports_only_its_changes() {
    let mut job = Job::new(&[("a.yaml", POD), (".gitignore", "runner\n")], &[]);
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false"];
        let output = Command::new("git").args(who).args(args).current_dir(&job.directory).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    let base = git(&["rev-parse", "HEAD"]);
    fs::write(job.directory.path().join("b.yaml"), POD.replace("name: p", "name: b")).unwrap();
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "second"]);
    job.base = base;
    let review = text(&job.step("review").stdout);
    assert!(review.contains("file=b.yaml") && !review.contains("file=a.yaml"), "{review}");
    job.inputs.insert("changed-only".to_owned(), "false".to_owned());
    let review = text(&job.step("review").stdout);
    assert!(review.contains("file=b.yaml") && review.contains("file=a.yaml"), "{review}");
}

/// The comments of a pull request, behind the part of GitHub's API that the Action uses.
struct Comments {
    url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Comments {
    /// Starts a server with some comments. With `refuse`, nothing may be written.
    fn start(bodies: Vec<Value>, refuse: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (bodies, requests) = (Arc::new(Mutex::new(bodies)), Arc::new(Mutex::new(Vec::new())));
        let (kept, seen) = (Arc::clone(&bodies), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let first = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
                let (verb, path) = first.split_once(' ').unwrap();
                let mut comments = kept.lock().unwrap();
                let (status, answer) = match (verb, path.split_once('?')) {
                    ("GET", Some((_, query))) => {
                        let page: usize = query.rsplit_once('=').unwrap().1.parse().unwrap();
                        let list: Vec<_> = comments.iter().skip((page - 1) * 100).take(100).collect();
                        ("200 OK", json!(list))
                    }
                    _ if refuse => ("403 Forbidden", json!({"message": "no"})),
                    ("POST", None) => {
                        let body: Value = serde_json::from_slice(&body).unwrap();
                        let id = comments.len();
                        comments.push(json!({"id": id, "user": {"type": "Bot"}, "body": body["body"]}));
                        ("201 Created", json!({}))
                    }
                    ("PATCH", None) => {
                        let id: usize = path.rsplit_once('/').unwrap().1.parse().unwrap();
                        let body: Value = serde_json::from_slice(&body).unwrap();
                        comments[id]["body"] = body["body"].clone();
                        ("200 OK", json!({}))
                    }
                    _ => ("404 Not Found", json!({})),
                };
                drop(comments);
                seen.lock().unwrap().push(first.clone());
                let answer = answer.to_string();
                write!(
                    stream.get_mut(),
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
                    answer.len()
                )
                .unwrap();
            }
        });
        Self { url, bodies, requests }
    }
}

#[test]
fn a_pull_request_has_one_comment_that_later_runs_rewrite() {
    let others = (0..150)
        .map(|id| json!({"id": id, "user": {"type": "User"}, "body": "<!-- kube-devops -->\nby hand"}));
    let server = Comments::start(others.collect(), false);
    let mut job = Job::new(&[("pod.yaml", POD)], &[("token", "secret")]);
    (job.api, job.pull_request) = (server.url.clone(), "7".to_owned());
    for _ in 0..2 {
        job.step("review");
        let comment = job.step("comment");
        assert!(comment.status.success(), "{}", text(&comment.stderr));
        let bodies = server.bodies.lock().unwrap();
        assert_eq!(bodies.len(), 151);
        let report = fs::read_to_string(&job.outputs["markdown"]).unwrap();
        assert_eq!(bodies[150]["body"], format!("<!-- kube-devops -->\n{report}"));
    }
    let requests = server.requests.lock().unwrap();
    let written: Vec<_> = requests.iter().filter(|request| !request.starts_with("GET")).collect();
    let repository = "/repos/owner/name/issues";
    assert_eq!(
        written,
        [&format!("POST {repository}/7/comments"), &format!("PATCH {repository}/comments/150")]
    );
}

#[test]
fn a_comment_that_is_not_allowed_is_a_warning() {
    let server = Comments::start(Vec::new(), true);
    let mut job = Job::new(&[("pod.yaml", POD)], &[]);
    job.step("review");
    let comment = job.step("comment");
    assert!(comment.status.success() && text(&comment.stdout).contains("is not for a pull request"));
    (job.api, job.pull_request) = (server.url.clone(), "7".to_owned());
    let comment = job.step("comment");
    assert!(comment.status.success(), "{}", text(&comment.stderr));
    assert!(text(&comment.stdout).starts_with("::warning::"), "{}", text(&comment.stdout));
    assert!(Path::new(&job.outputs["markdown"]).exists());
}
