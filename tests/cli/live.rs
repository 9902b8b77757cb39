//! Commands that need a cluster, where there is none.

use super::{directory, run_in};

#[test]
fn without_a_kubeconfig_the_way_without_a_cluster_is_shown() {
    let empty = directory(&[]);
    for command in [&["analyze"][..], &["check"], &["list", "pods"]] {
        let run = run_in(empty.path(), command, "");
        assert_eq!((run.status, &*run.stdout), (2, ""), "{command:?}");
        assert!(run.stderr.contains("kube-devops analyze -f"), "{}", run.stderr);
    }
}

#[test]
fn a_context_that_is_not_there_is_refused_with_those_that_are() {
    let config = b"apiVersion: v1\nkind: Config\ncontexts: [{name: blue, context: {cluster: c, user: u}}]\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n";
    let tree = directory(&[("config", config)]);
    let run = run_in(tree.path(), &["analyze", "--kubeconfig", "config", "--context", "green"], "");
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("green") && run.stderr.contains("blue"), "{}", run.stderr);
}

#[test]
fn a_server_that_is_away_is_named_and_nothing_is_scored() {
    let config = b"apiVersion: v1\nkind: Config\ncurrent-context: blue\n\
        contexts: [{name: blue, context: {cluster: c, user: u}}]\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n";
    let tree = directory(&[("config", config)]);
    let run = run_in(tree.path(), &["analyze", "--kubeconfig", "config"], "");
    assert_eq!(run.status, 2);
    assert!(run.stdout.contains("Cluster Health Score       : Unknown"), "{}", run.stdout);
    assert!(run.stderr.contains("127.0.0.1:1"), "{}", run.stderr);
}
