//! A node ends with its command and leaves nothing behind. These tests start their own nodes outside of any other's
//! namespaces.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The time limit for the end of all processes.
const END: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);

#[test]
#[ignore = "starts a node: make test-node"]
fn a_node_ends_with_its_command_and_returns_its_status() {
    let mut node = Node::start(&["sh", "-c", "kubectl get nodes >/dev/null && exit 7"]);
    assert_eq!(node.main.wait().unwrap().code(), Some(7));
    node.assert_gone();
}

#[test]
#[ignore = "starts a node: make test-node"]
fn a_node_with_a_killed_main_process_leaves_nothing_behind() {
    let mut node = Node::start(&["sleep", "600"]);
    node.main.kill().unwrap();
    node.main.wait().unwrap();
    node.assert_gone();
}

#[test]
#[ignore = "starts a node: make test-node"]
fn a_node_with_a_killed_janitor_leaves_nothing_behind() {
    let mut node = Node::start(&["sleep", "600"]);
    let killed = Command::new("kill").args(["-KILL", &node.janitor.to_string()]).status().unwrap();
    assert!(killed.success());
    assert!(!node.main.wait().unwrap().success());
    node.assert_gone();
}

/// A node that has been ready.
struct Node {
    main: Child,
    janitor: u32,
    processes: Vec<u32>,
}

impl Node {
    fn start(command: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kube-tests/real-node/node");
        let mut main = Command::new(script).arg("run").args(command).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(main.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.starts_with("the node is ready")), "the node did not start");
        let children = children();
        let janitor = children[&main.id()][0];
        let processes = descendants(&children, main.id());
        assert!(processes.len() > 8, "the servers are descendants: {processes:?}");
        Self { main, janitor, processes }
    }

    /// Waits until the node has no process and no cgroup left.
    fn assert_gone(&self) {
        let start = Instant::now();
        loop {
            let mut left: Vec<_> =
                self.processes.iter().map(|pid| PathBuf::from(format!("/proc/{pid}"))).collect();
            left.extend(cgroups(&format!("kube-devops-node-{}", self.janitor)));
            left.retain(|path| path.exists());
            if left.is_empty() {
                return;
            }
            assert!(start.elapsed() < END, "left behind: {left:?}");
            sleep(POLL);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A failed test leaves the node running.
        let _ = self.main.kill();
        let _ = self.main.wait();
    }
}

/// Returns the children of every process.
fn children() -> HashMap<u32, Vec<u32>> {
    let mut children = HashMap::<u32, Vec<u32>>::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        // The name may hold any character and ends at the last parenthesis. The state and the parent follow.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        children.entry(parent.unwrap_or_default()).or_default().push(pid);
    }
    children
}

fn descendants(children: &HashMap<u32, Vec<u32>>, of: u32) -> Vec<u32> {
    let direct = children.get(&of).into_iter().flatten();
    direct.flat_map(|child| [vec![*child], descendants(children, *child)].concat()).collect()
}

/// Returns the possible paths of a cgroup in each hierarchy.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let hierarchies = mounts.lines().filter_map(|mount| {
        let mut fields = mount.split(' ').skip(1);
        let (target, kind) = (fields.next()?, fields.next()?);
        kind.starts_with("cgroup").then(|| Path::new(target).join(name))
    });
    hierarchies.collect()
}
