//! The hooks for pre-commit, run by the real pre-commit.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use super::directory;
use super::github_action::example;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: nginx}]}\n";

/// Runs a program with the built binaries in front of all others. Returns its success and its output.
fn run(directory: &Path, program: &str, args: &[&str]) -> std::io::Result<(bool, String)> {
    let binaries = Path::new(env!("CARGO_BIN_EXE_kube-devops")).parent().unwrap();
    let installed = binaries.parent().unwrap().join("pre-commit/bin");
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [binaries.to_owned(), installed].into_iter().chain(std::env::split_paths(&path));
    let path = std::env::join_paths(path).unwrap();
    let output = Command::new("env")
        .arg(format!("PATH={}", path.to_str().unwrap()))
        .arg(program)
        .args(args)
        .current_dir(directory)
        .env("PRE_COMMIT_HOME", directory.join(".git/pre-commit"))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()?;
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok((output.status.success(), text))
}

fn git(directory: &Path, args: &[&str]) -> String {
    let who = ["-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false"];
    let (success, text) = run(directory, "git", &[&who[..], args].concat()).unwrap();
    assert!(success, "git {args:?}: {text}");
    text.trim().to_owned()
}

/// Returns true if pre-commit can be run. Without it, the test is skipped visibly.
fn has_pre_commit() -> bool {
    let found = run(Path::new(ROOT), "pre-commit", &["--version"]).is_ok_and(|(success, _)| success);
    if !found {
        // `eprintln!` would show only if the test fails.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: no hook was run: `make pre-commit` installs pre-commit");
    }
    found
}

#[test]
fn the_hooks_review_what_a_commit_changes() {
    if !has_pre_commit() {
        return;
    }
    let hooks = directory(&[(
        ".pre-commit-hooks.yaml",
        fs::read(format!("{ROOT}/.pre-commit-hooks.yaml")).unwrap().as_slice(),
    )]);
    git(hooks.path(), &["init", "-q"]);
    git(hooks.path(), &["add", "."]);
    git(hooks.path(), &["commit", "-q", "-m", "hooks"]);
    let (valid, text) =
        run(hooks.path(), "pre-commit", &["validate-manifest", ".pre-commit-hooks.yaml"]).unwrap();
    assert!(valid, "{text}");
    let config = example(".pre-commit-config.yaml")
        .replace("https://github.com/OWNER/kube-devops", hooks.path().to_str().unwrap())
        .replace("REF", &git(hooks.path(), &["rev-parse", "HEAD"]));
    let user = directory(&[(".pre-commit-config.yaml", config.as_bytes()), ("notes.yaml", b"# nothing\n")]);
    let path = |name: &str| user.path().join(name);
    git(user.path(), &["init", "-q"]);
    git(user.path(), &["add", "."]);
    let review = |configured: &str| run(user.path(), "pre-commit", &["run", configured]).unwrap();
    fs::create_dir(path("deploy")).unwrap();
    let (passed, text) = review("kube-devops-installed");
    assert!(
        passed && text.contains("Passed"),
        "nothing to evaluate passes, also in the first commit: {text}"
    );
    fs::write(path("deploy/old.yaml"), POD.replace("name: p", "name: old")).unwrap();
    git(user.path(), &["add", "."]);
    git(user.path(), &["commit", "-q", "-m", "first"]);
    fs::write(path("deploy/new.yaml"), POD.replace("nginx", "nginx:1.29")).unwrap();
    git(user.path(), &["add", "."]);
    let (passed, text) = review("kube-devops-installed");
    assert!(passed, "an old violation does not fail a commit: {text}");
    fs::write(path("deploy/new.yaml"), POD).unwrap();
    git(user.path(), &["add", "."]);
    let (passed, text) = review("kube-devops-installed");
    assert!(!passed && text.contains("Pod/p") && !text.contains("Pod/old"), "{text}");
}
