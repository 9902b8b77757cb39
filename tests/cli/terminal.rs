//! What people see who have stderr on a terminal, and what whoever reads it from a pipe doesn't.

use super::directory;
use super::live::of_an_empty_cluster;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// A terminal: its far end, and what programs write to.
fn terminal() -> (File, File) {
    let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&far).unwrap();
    unlockpt(&far).unwrap();
    let name = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
    let near = OpenOptions::new().read(true).write(true).open(name).unwrap();
    (File::from(far), near)
}

/// Runs the binary with stderr on a terminal or else a pipe, lets `act` do something with it, and returns what stderr got.
fn stderr_of(args: &[&str], on_terminal: bool, act: impl FnOnce(&mut Child)) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-devops"));
    command
        .args(args)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let (far, near) = terminal();
    command.stderr(if on_terminal { Stdio::from(near) } else { Stdio::piped() });
    let mut child = command.spawn().unwrap();
    // The terminal ends with the last program that has it open.
    drop(command);
    let mut stderr: Box<dyn Read + Send> = match child.stderr.take() {
        Some(pipe) => Box::new(pipe),
        None => Box::new(far),
    };
    let reader = thread::spawn(move || {
        let (mut text, mut part) = (Vec::new(), [0; 4096]);
        // A terminal that everybody has left fails to be read.
        while let Ok(read @ 1..) = stderr.read(&mut part) {
            text.extend_from_slice(&part[..read]);
        }
        String::from_utf8(text).unwrap()
    });
    act(&mut child);
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn work_of_more_than_a_second_shows_on_a_terminal_what_was_read() {
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
    assert_eq!(shown, "", "what takes less shows nothing");
}

#[test]
fn a_log_is_text_on_a_terminal_and_json_in_a_pipe() {
    let tree = directory(&[("config", of_an_empty_cluster().as_bytes())]);
    let config = tree.path().join("config");
    let watch = [
        "watch",
        "--listen",
        "127.0.0.1:0",
        "--no-leader-election",
        "--kubeconfig",
        config.to_str().unwrap(),
    ];
    let asked_to_end = |child: &mut Child| {
        let begun = Instant::now();
        let pid = rustix::process::Pid::from_child(child);
        while child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it doesn't end");
            sleep(Duration::from_millis(500));
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    };
    let text = stderr_of(&watch, true, asked_to_end);
    assert!(text.contains("INFO") && text.contains("starting") && text.contains('\u{1b}'), "{text:?}");
    let json = stderr_of(&watch, false, asked_to_end);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((&first["level"], &first["message"]), (&"INFO".into(), &"starting".into()));
}
