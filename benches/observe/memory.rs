//! The memory of pods, measured in a separate process that holds nothing else.

use std::fs;
use std::hint::black_box;
use std::process::{Command, Stdio};

/// Makes this program read pods and print its memory in bytes before and after.
const FILL: &str = "--fill";

/// Reads the pods, by an argument, if this process was started for that.
pub(crate) fn fill<T>(read: impl FnOnce(usize, &str) -> T) -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, flag, pods, rest @ ..] = arguments.as_slice() else { return false };
    if flag != FILL {
        return false;
    }
    let pods = pods.parse().unwrap();
    let before = resident();
    let filled = black_box(read(pods, rest.first().map_or("", String::as_str)));
    println!("{before} {}", resident());
    drop(filled);
    true
}

/// Reads a number of pods in a separate process and prints the memory that they took.
pub(crate) fn print(what: &str, pods: usize, argument: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([FILL, &pods.to_string(), argument])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "filling failed: {}", output.status);
    let figures = String::from_utf8(output.stdout).unwrap();
    let (before, after) = figures.trim().split_once(' ').unwrap();
    let [before, after]: [u64; 2] = [before, after].map(|bytes| bytes.parse().unwrap());
    let each = (after - before) / pods as u64;
    println!("{what}: {} MiB at {pods} pods, {each} bytes a pod", after >> 20);
}

/// Returns the resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
