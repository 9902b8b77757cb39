//! Output on a terminal: progress, logs, colours, the width of tables, and no control characters but our own.

use super::directory;
use super::live::{of_a_cluster, of_an_empty_cluster};
use kube_devops::enforcement::FIELD_MANAGER;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// Returns both ends of a terminal of some columns: the reader's, and the one that programs write to.
fn terminal(columns: u16) -> (File, File) {
    let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&far).unwrap();
    unlockpt(&far).unwrap();
    // Some terminals report no rows.
    let size = Winsize { ws_row: 0, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&far, size).unwrap();
    let name = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
    let near = OpenOptions::new().read(true).write(true).open(name).unwrap();
    (File::from(far), near)
}

fn binary(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-devops"));
    command
        .args(args)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .env_remove("KUBECONFIG")
        .stdin(Stdio::piped());
    command
}

/// Reads everything that programs write to a stream; reading a terminal fails once all of them have closed it.
fn read_all(mut stream: Box<dyn Read + Send>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let (mut text, mut part) = (Vec::new(), [0; 4096]);
        while let Ok(read @ 1..) = stream.read(&mut part) {
            text.extend_from_slice(&part[..read]);
        }
        String::from_utf8(text).unwrap()
    })
}

/// Runs the binary with stderr on a terminal or a pipe, lets `act` use the process, and returns what stderr got.
fn stderr_of(args: &[&str], on_terminal: bool, act: impl FnOnce(&mut Child)) -> String {
    let mut command = binary(args);
    command.stdout(Stdio::null());
    let (far, near) = terminal(80);
    command.stderr(if on_terminal { Stdio::from(near) } else { Stdio::piped() });
    let mut child = command.spawn().unwrap();
    // The terminal stays open as long as the command holds its end.
    drop(command);
    let stderr = match child.stderr.take() {
        Some(pipe) => read_all(Box::new(pipe)),
        None => read_all(Box::new(far)),
    };
    act(&mut child);
    child.wait().unwrap();
    stderr.join().unwrap()
}

/// Runs a command with stdout and stderr on one terminal, and returns what a user sees there.
fn shown(mut command: Command, columns: u16) -> String {
    let (far, near) = terminal(columns);
    command.stdin(Stdio::null()).stdout(near.try_clone().unwrap()).stderr(near);
    let mut child = command.spawn().unwrap();
    drop(command);
    let text = read_all(Box::new(far));
    child.wait().unwrap();
    text.join().unwrap().replace("\r\n", "\n")
}

#[test]
fn work_of_more_than_a_second_shows_its_progress_on_a_terminal() {
    let slowly = |child: &mut Child| {
        let mut stdin = child.stdin.take().unwrap();
        stdin
            .write_all(b"kind: Pod\napiVersion: v1\nspec: {containers: [{name: a, image: 'a:1'}]}\n")
            .unwrap();
        sleep(Duration::from_millis(1500));
    };
    let shown = stderr_of(&["analyze", "-f", "-"], true, slowly);
    assert!(shown.contains("objects read"), "{shown:?}");
    assert!(shown.ends_with("\r\u{1b}[2K"), "nothing of it is left: {shown:?}");
    assert_eq!(stderr_of(&["analyze", "-f", "-"], false, slowly), "");
    let at_once = |child: &mut Child| drop(child.stdin.take());
    let shown = stderr_of(&["analyze", "-f", "kube-tests/good-workloads.yaml"], true, at_once);
    assert_eq!(shown, "", "shorter work shows nothing");
}

#[test]
fn a_log_is_text_on_a_terminal_and_json_in_a_pipe() {
    let tree = directory(&[("config", of_an_empty_cluster().as_bytes())]);
    let config = tree.path().join("config");
    let watch = [
        "watch",
        "--listen",
        "localhost:0",
        "--no-leader-election",
        "--kubeconfig",
        config.to_str().unwrap(),
    ];
    let terminate = |child: &mut Child| {
        let begun = Instant::now();
        let pid = rustix::process::Pid::from_child(child);
        while child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not end");
            sleep(Duration::from_millis(500));
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    };
    let text = stderr_of(&watch, true, terminate);
    assert!(text.contains("INFO") && text.contains("starting") && text.contains('\u{1b}'), "{text:?}");
    let json = stderr_of(&watch, false, terminate);
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((&first["level"], &first["message"]), (&"INFO".into(), &"starting".into()));
}

#[test]
fn severities_errors_and_notes_have_colours_only_on_a_terminal() {
    let wide = ["analyze", "-f", "kube-tests", "-f", "nowhere.yaml", "-o", "wide"];
    let coloured = shown(binary(&wide), 200);
    for text in
        ["\u{1b}[1m\u{1b}[31mcritical\u{1b}[0m", "\u{1b}[31merror:\u{1b}[0m ", "\u{1b}[36mnote:\u{1b}[0m "]
    {
        assert!(coloured.contains(text), "{text:?}: {coloured}");
    }
    let mut plain = binary(&wide);
    plain.env("NO_COLOR", "1");
    let plain = shown(plain, 200);
    assert!(plain.contains("critical") && !plain.contains('\u{1b}'), "{plain}");
    let piped = binary(&wide).output().unwrap();
    assert!(![piped.stdout, piped.stderr].concat().contains(&0x1b));
}

#[test]
fn no_line_of_a_report_is_wider_than_the_terminal() {
    for format in ["summary", "table", "wide"] {
        for columns in [60, 80, 120] {
            let mut command = binary(&["analyze", "-f", "kube-tests", "-o", format]);
            command.env("NO_COLOR", "1");
            let text = shown(command, columns);
            let rows = text.lines().filter(|line| !line.starts_with("note: "));
            for row in rows {
                assert!(row.chars().count() <= usize::from(columns), "{format} at {columns}: {row:?}");
            }
        }
    }
}

/// Escape sequences of every kind: a title, a colour that we never use, C1, DEL, and a bidi override.
const HOSTILE: &str = "x\u{1b}]0;owned\u{7}\u{1b}[35m\u{9b}2J\u{7f}\u{202e}y";

/// Returns JSON in ASCII: YAML allows no control characters but escaped ones.
fn ascii(json: &Value) -> String {
    let escape = |c: char| {
        if c.is_ascii_graphic() || c == ' ' { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) }
    };
    json.to_string().chars().map(escape).collect()
}

/// Fails if the output has a control character that is not ours, or lacks the hostile text.
fn assert_escaped(args: &[&str], output: &str) {
    let mut rest = output.to_owned();
    // Our styles, and the line that progress erases.
    for ours in ["[0m", "[1m", "[31m", "[32m", "[33m", "[36m", "[2K"] {
        rest = rest.replace(&format!("\u{1b}{ours}"), "");
    }
    let stray = rest.replace(['\n', '\r'], "").chars().find(|c| c.is_control() || *c == '\u{202e}');
    assert_eq!(stray, None, "{args:?}: {output:?}");
    assert!(output.contains("x\\u{1b}]0;"), "{args:?} shows the text: {output:?}");
}

fn shown_in(directory: &Path, args: &[&str]) -> String {
    let mut command = binary(args);
    command.current_dir(directory);
    shown(command, 4000)
}

#[test]
fn control_characters_of_manifests_are_escaped_in_every_output_for_people() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": HOSTILE, "namespace": HOSTILE },
        "spec": { "containers": [{ "name": HOSTILE, "image": HOSTILE }] },
    });
    let broken = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": HOSTILE }, "spec": { "containers": 1 } });
    let bad = json!({ "apiVersion": "v1", "kind": "List", "items": [broken] });
    let policy = json!({
        "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy", "metadata": { "name": "p" },
        "spec": { HOSTILE: true },
    });
    let named = format!("{HOSTILE}.yaml");
    let files = [("pod.json", ascii(&pod)), ("bad.json", ascii(&bad)), ("policy.json", ascii(&policy))];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let tree = directory(&[files, vec![(&*named, b"kind: [")]].concat());
    for args in [
        &["analyze", "-f", "pod.json"][..],
        &["analyze", "-f", "pod.json", "-o", "table"],
        &["analyze", "-f", "pod.json", "-o", "wide"],
        &["analyze", "-f", "bad.json"],
        &["analyze", "-f", &named],
        &["analyze", "-f", "pod.json", "--policy", "policy.json"],
    ] {
        assert_escaped(args, &shown_in(tree.path(), args));
    }
    for format in ["json", "yaml"] {
        let output =
            binary(&["analyze", "-f", "pod.json", "-o", format]).current_dir(tree.path()).output().unwrap();
        let report: Value = match format {
            "json" => serde_json::from_slice(&output.stdout).unwrap(),
            _ => yaml_serde::from_slice(&output.stdout).unwrap(),
        };
        assert_eq!(report["namespaces"][0]["namespace"], HOSTILE, "{format} is exact");
    }
}

/// Answers as an API server of which every text is hostile.
fn hostile_server(method: &str, path: &str) -> (u16, String) {
    let path = path.split('?').next().unwrap_or_default();
    let container = json!({ "name": "c", "image": "a", "readinessProbe": {} });
    let fields = json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": {
        "k:{\"name\":\"c\"}": { "f:readinessProbe": {} } } } } } });
    let entry = |manager: &str| json!({ "manager": manager, "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": HOSTILE, "namespace": "shop", "uid": "u", "resourceVersion": "1",
            "managedFields": [entry(FIELD_MANAGER), entry(HOSTILE)] },
        "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "a" } }, "template": {
            "metadata": { "labels": { "app": "a" } }, "spec": { "containers": [container] } } },
    });
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": HOSTILE, "namespace": "shop" },
        "spec": { "nodeName": HOSTILE, "containers": [{ "name": "c", "image": HOSTILE }] }, "status": { "phase": HOSTILE } });
    let policy = |name: &str| {
        json!({ "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy",
            "metadata": { "name": name, "namespace": "shop", "finalizers": ["devops.stochastic.io/cleanup"] },
            "spec": { "requireLivenessProbe": true, "enforcementMode": "enforce", "defaultProbe": { "tcpPort": 80 } } })
    };
    let result = json!({ "apiVersion": "devops.stochastic.io/v1", "kind": "PolicyAuditResult",
        "metadata": { "name": "r", "namespace": "shop" },
        "spec": { "policyName": "p", "timestamp": "2026-01-01T00:00:00Z", "healthScore": 1, "classification": "Critical",
            "totalPods": 1, "totalViolations": 1, "violations": [],
            "fixes": [{ "kind": "Deployment", "name": HOSTILE, "patch": "{}" }] } });
    let list = |kind: &str, items: Value| json!({ "apiVersion": "v1", "kind": kind, "metadata": {}, "items": items });
    let refused = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": HOSTILE, "reason": "Forbidden", "code": 403 });
    let answer = match (method, path.rsplit('/').next().unwrap_or_default()) {
        ("GET", "version") => {
            json!({ "major": "1", "minor": "36", "gitVersion": HOSTILE, "gitCommit": "", "gitTreeState": "",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": "" })
        }
        ("POST", "selfsubjectaccessreviews") => json!({ "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview", "spec": {}, "status": { "allowed": false, "reason": HOSTILE } }),
        ("GET", "pods") => list("PodList", json!([pod])),
        ("GET", "deployments") => list("DeploymentList", json!([deployment])),
        ("GET", "web") => deployment,
        ("GET", "devopspolicies") => list("DevOpsPolicyList", json!([policy("p"), policy(HOSTILE)])),
        ("GET", "policyauditresults") => list("PolicyAuditResultList", json!([result])),
        ("GET", "v1" | "v1alpha1") => {
            json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": [] })
        }
        ("GET", _) if !path.contains("customresourcedefinitions") => list("List", json!([])),
        _ => return (403, refused.to_string()),
    };
    (200, answer.to_string())
}

#[test]
fn control_characters_of_a_cluster_are_escaped_in_every_output_for_people() {
    let config = of_a_cluster(HOSTILE, hostile_server);
    let config = ascii(&serde_json::from_str(&config).unwrap());
    let tree = directory(&[("config", config.as_bytes())]);
    for args in [
        &["analyze"][..],
        &["analyze", "-o", "wide"],
        &["list", "pods"],
        &["check", "--for", "all"],
        &["crd", "install"],
        &["undo", "deployment/web", "--dry-run"],
        &["undo", "deployment/web"],
        &["undo", "--all", "--dry-run"],
        &["policy", "rehearse", "p", "-n", "shop"],
        &["policy", "rehearse", "q", "-n", "shop"],
        &["policy", "fixes", "-n", "shop"],
        &["policy", "release"],
    ] {
        let args = [args, &["--kubeconfig", "config"]].concat();
        let output = shown_in(tree.path(), &args);
        assert!(!output.contains("kubeconfig config"), "it connects: {output}");
        assert_escaped(&args, &output);
    }
}
