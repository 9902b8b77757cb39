//! YAML is read as kubectl reads it, and silently lost values are noted.

use super::{directory, run_in};

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: c\n    image: nginx:latest\n";

#[test]
fn a_repeated_key_is_a_note_and_no_error() {
    let text = format!("{POD}    image: nginx:1\n");
    let tree = directory(&[("pod.yaml", text.as_bytes())]);
    let run = run_in(tree.path(), &["analyze", "-f", "pod.yaml"], "");
    assert_eq!(run.status, 0);
    assert_eq!(
        run.stderr,
        "note: pod.yaml:8: the key `image` is repeated; the last one counts, as with kubectl\n"
    );
    assert!(run.stdout.contains("Images using :latest       : 0"), "{}", run.stdout);
}

#[test]
fn every_document_behind_a_separator_with_a_comment_is_read() {
    let text = format!("---# Source: a\n{POD}---# Source: b\n{POD}");
    let run = run_in(directory(&[]).path(), &["analyze", "-f", "-"], &text);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(run.stdout.contains("Workload Pods Analyzed     : 2"), "{}", run.stdout);
}

#[test]
fn a_policy_accepts_booleans_of_yaml_1_1_and_repeated_keys_are_noted() {
    let policy = "apiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\nmetadata: {name: p}\nspec:\n  \
                  forbidLatestTag: no\n  forbidLatestTag: yes\n";
    let tree = directory(&[("pod.yaml", POD.as_bytes()), ("policy.yaml", policy.as_bytes())]);
    let run = run_in(tree.path(), &["analyze", "-f", "pod.yaml", "--policy", "policy.yaml"], "");
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(run.stderr.contains("note: policy policy.yaml: line 6: the key `forbidLatestTag` is repeated"));
    assert!(run.stdout.contains("Images using :latest       : 1"), "{}", run.stdout);
}
