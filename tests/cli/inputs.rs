//! The files that `-f` reads. They are compared with those that kubectl reads, if it is installed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::shapes::{Spelling, write_deployments};
use super::{Run, directory, run_in};

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: [{name: c, image: nginx}]}\n";

/// A directory with a manifest for each path, named by it, and files that are passed over.
fn tree() -> tempfile::TempDir {
    let paths = [
        "a.yaml",
        "b.yml",
        "c.json",
        "a-b.yaml",
        "notes.txt",
        ".hidden.yaml",
        "sub/d.yaml",
        "sub/deep/e.yaml",
    ];
    let manifests: Vec<(&str, String)> = paths
        .into_iter()
        .map(|path| {
            let name = path.replace(['/', '.'], "-").trim_matches('-').to_owned();
            let object = POD.replace("NAME", &name);
            let json = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c-json"},"spec":{"containers":[{"name":"c","image":"nginx"}]}}"#;
            (path, if path.ends_with("json") { json.to_owned() } else { object })
        })
        .collect();
    let mut files: Vec<_> = manifests.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    files.push(("comments.yaml", b"# nothing\n---\n# here\n"));
    files.push(("empty.json", b""));
    let tree = directory(&files);
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink("sub", tree.path().join("link")).unwrap();
        symlink("../notes.txt", tree.path().join("sub/linked.yaml")).unwrap();
    }
    tree
}

/// The names of the evaluated pods.
fn evaluated(run: &Run) -> BTreeSet<String> {
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let violations = report["violations"].as_array().unwrap();
    violations.iter().map(|violation| violation["name"].as_str().unwrap().to_owned()).collect()
}

/// The names of the pods that kubectl reads; `None` if it is not installed.
fn read_by_kubectl(directory: &Path, args: &[&str]) -> Option<BTreeSet<String>> {
    let mut kubectl = Command::new("kubectl");
    kubectl.args(["label", "--local", "a=b", "-o", "name"]).args(args).current_dir(directory);
    let output = kubectl.env("KUBECONFIG", "/dev/null").output().ok()?;
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| line.trim_start_matches("pod/").to_owned()).collect())
}

#[cfg(unix)]
#[test]
fn the_same_files_are_read_as_by_kubectl() {
    let tree = tree();
    for (args, expected) in [
        (&["-f", "a.yaml"][..], "a-yaml"),
        (&["-f", "notes.txt"], "notes-txt"),
        (&["-f", "a.yaml,sub/d.yaml", "-f", "c.json"], "a-yaml c-json sub-d-yaml"),
        (&["-f", "."], "a-b-yaml a-yaml b-yml c-json hidden-yaml"),
        (&["-f", "sub"], "notes-txt sub-d-yaml"),
        (&["-f", "link/"], "notes-txt sub-d-yaml"),
        (&["-R", "-f", "sub"], "notes-txt sub-d-yaml sub-deep-e-yaml"),
        (&["-R", "-f", "."], "a-b-yaml a-yaml b-yml c-json hidden-yaml notes-txt sub-d-yaml sub-deep-e-yaml"),
        (&["-f", "a*.yaml"], "a-b-yaml a-yaml"),
        (&["-f", "*.y*ml"], "a-b-yaml a-yaml b-yml hidden-yaml"),
        (&["-f", "[ab].y*ml"], "a-yaml b-yml"),
        (&["-f", "[^a].y?ml"], ""),
        (&["-f", "[^a].y*ml"], "b-yml"),
        (&["-f", "[!a].yaml"], "a-yaml"),
        (&["-f", "s*/**/*.yaml"], "sub-deep-e-yaml"),
        (&["-f", "s*"], "notes-txt sub-d-yaml"),
        (&["-f", "a\\.yaml"], "a-yaml"),
        (&["-f", "*.json,s*/d.yaml"], "c-json sub-d-yaml"),
    ] {
        let expected: BTreeSet<String> = expected.split_whitespace().map(str::to_owned).collect();
        let read = evaluated(&run_in(tree.path(), &[&["analyze", "-o", "json"], args].concat(), ""));
        assert_eq!(read, expected, "{args:?}");
        if let Some(by_kubectl) = read_by_kubectl(tree.path(), args) {
            assert_eq!(by_kubectl, expected, "kubectl {args:?}");
        }
    }
}

#[test]
fn a_path_needs_no_flag() {
    let tree = tree();
    let run = |args: &[&str]| run_in(tree.path(), &[&["analyze", "-o", "json"], args].concat(), "");
    for args in [&["sub", "a.yaml"][..], &["-f", "sub", "a.yaml"], &["a.yaml,sub"]] {
        assert!(
            evaluated(&run(args))
                .is_superset(&BTreeSet::from(["a-yaml".to_owned(), "sub-d-yaml".to_owned()]))
        );
    }
    assert!(evaluated(&run(&["-R", "sub"])).contains("sub-deep-e-yaml"));
    assert_eq!(run(&["a.yaml", "--context", "c"]).status, 2, "files are of no cluster");
}

#[test]
fn an_existing_file_with_a_comma_in_its_name_is_not_a_list() {
    let tree = directory(&[("a,b.yaml", POD.as_bytes())]);
    assert_eq!(run_in(tree.path(), &["analyze", "-f", "a,b.yaml"], "").status, 0);
}

#[test]
fn a_path_that_leads_to_nothing_is_an_error() {
    let tree = tree();
    for (path, error) in [
        ("comments.yaml", "there is no Kubernetes object in it: it is empty or holds only comments"),
        ("none.yaml", "there is no such file or directory"),
        ("none*.yaml", "no file matches this pattern"),
        ("[a", "not a valid pattern: close the [ or put a \\ before it"),
    ] {
        let run = run_in(tree.path(), &["analyze", "-f", path], "");
        assert_eq!((run.status, &*run.stderr), (2, &*format!("error: {path}: {error}\n").replace('\\', "/")));
    }
    let only = directory(&[("d/comments.yaml", b"# nothing\n")]);
    let run = run_in(only.path(), &["analyze", "-f", "d"], "");
    let message = "there is no Kubernetes object in it: its files are empty or hold only comments";
    assert_eq!((run.status, &*run.stderr), (2, &*format!("error: d: {message}\n")));
}

#[cfg(unix)]
#[test]
fn links_to_directories_cost_nothing_and_dangling_ones_are_passed_over_unless_named() {
    use std::os::unix::fs::symlink;
    let tree = directory(&[("l0/pod.yaml", POD.as_bytes())]);
    // Followed, the links would lead to the manifest in a billion ways.
    for level in 1..30 {
        let path = tree.path().join(format!("l{level}"));
        std::fs::create_dir(&path).unwrap();
        for link in ["a", "b"] {
            symlink(format!("../l{}", level - 1), path.join(link)).unwrap();
        }
    }
    symlink("nowhere", tree.path().join("l0/gone.yaml")).unwrap();
    let run = run_in(tree.path(), &["analyze", "-R", "-f", "."], "");
    assert!(run.status == 0 && run.stdout.contains("Analyzed     : 1"), "{run}");
    let run = run_in(tree.path(), &["analyze", "-f", "l0/gone.yaml"], "");
    assert_eq!((run.status, &*run.stderr), (2, "error: l0/gone.yaml: it is a link to nothing\n"));
}

#[test]
fn a_large_list_reads_the_same_in_every_spelling_and_from_a_pipe() {
    let count = 5_000;
    for spelling in [Spelling::List, Spelling::Lines, Spelling::Documents, Spelling::Sorted] {
        let mut text = Vec::new();
        write_deployments(&mut text, count, spelling).unwrap();
        assert!(text.len() > 1 << 20, "more than a block");
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().count();
        let tree = directory(&[("list.json", text.as_bytes())]);
        for (path, stdin) in [("list.json", ""), ("-", text.as_str())] {
            let run = run_in(tree.path(), &["analyze", "-f", path, "-o", "json"], stdin);
            assert_eq!((run.status, &*run.stderr), (0, ""), "{spelling:?} {path}");
            let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!(report["summary"]["pods"], count, "{spelling:?} {path}");
            for violation in report["violations"].as_array().unwrap() {
                assert_eq!(violation["kind"], "Deployment");
                let number: usize = violation["name"].as_str().unwrap()["shop-".len()..].parse().unwrap();
                // A document has several lines, and a violation names that of the field.
                let each = lines / count;
                let expected = match spelling {
                    Spelling::List | Spelling::Sorted => 1..=1,
                    Spelling::Lines => number + 1..=number + 1,
                    Spelling::Documents => each * number + 2..=each * (number + 1),
                };
                let (_, line) = violation["source"].as_str().unwrap().rsplit_once(':').unwrap();
                assert!(expected.contains(&line.parse().unwrap()), "{violation}");
            }
        }
    }
}
