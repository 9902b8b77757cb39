//! Commands that tell about the program itself.

use insta::assert_snapshot;

use super::{run, without_lists};

#[test]
fn the_version_is_one_line() {
    for way in ["version", "--version", "-V"] {
        assert_eq!(
            run(&[way]).to_string(),
            format!("kube-devops version {}\n----- exit 0", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[test]
fn the_rules_are_listed_and_each_is_explained() {
    let rules = run(&["rules"]);
    // The width of a column follows its longest text.
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = rules.stdout.lines().map(words).collect();
    let of_the_score = lines.iter().filter(|line| line.contains(" SET ") || line.contains(" default "));
    assert_snapshot!(of_the_score.cloned().collect::<Vec<_>>().join("\n"));
    assert_snapshot!(run(&["explain", "missing-resources"]));
    for rule in kube_devops::rules::RULES.iter() {
        let row = format!("{} {} {} ", rule.category, rule.id, rule.severity);
        assert!(lines.iter().any(|line| line.starts_with(&row) && line.ends_with(rule.summary)), "{row}");
        assert_eq!(run(&["explain", rule.id.as_str()]).status, 0);
    }
    assert_snapshot!(without_lists(&run(&["explain", "latest"]).to_string()));
}

#[test]
fn the_helps_of_the_operator_say_what_it_does() {
    for command in [&["policy", "--help"][..], &["policy", "release", "--help"], &["reconcile", "--help"]] {
        assert_snapshot!(run(command));
    }
}

#[test]
fn every_shell_gets_completions_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let completions = run(&["completions", shell]);
        assert!(completions.status == 0 && completions.stdout.contains("fail-under"), "{shell}");
    }
}

#[test]
fn each_command_has_a_man_page() {
    let page = run(&["man"]);
    assert_eq!(page.status, 0, "{page}");
    assert!(page.stdout.contains(".TH ") && page.stdout.contains("analyze"), "{page}");
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("share/man1");
    assert_eq!(run(&["man", pages.to_str().unwrap()]).status, 0, "the directory is created");
    for name in ["kube-devops.1", "kube-devops-analyze.1", "kube-devops-webhook-serve.1"] {
        assert!(pages.join(name).is_file(), "{name}");
    }
    let below_a_file = pages.join("kube-devops.1/man1");
    let refused = run(&["man", below_a_file.to_str().unwrap()]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("cannot write man pages to "), "{refused}");
}

/// Evaluates the script in bash, and returns what it offers after some words, the last of which is begun.
#[cfg(unix)]
fn completed_by_bash(words: &[&str]) -> Vec<String> {
    const COMPLETE: &str = r#"
        source /dev/stdin
        COMP_WORDS=(kube-devops "$@")
        COMP_CWORD=$#
        function=$(complete -p kube-devops | sed 's/.*-F \([^ ]*\).*/\1/')
        "$function" kube-devops "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = assert_cmd::Command::new("bash");
    bash.args(["--norc", "-c", COMPLETE, "bash"]).args(words);
    let output = bash.write_stdin(run(&["completions", "bash"]).stdout).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[cfg(unix)]
#[test]
fn bash_completes_what_follows_a_subcommand() {
    if std::process::Command::new("bash").arg("--version").output().is_err() {
        return;
    }
    for (words, wanted) in [
        (&[""][..], "analyze"),
        (&["analyze", "--fail-u"], "--fail-under"),
        (&["analyze", "-o", ""], "json"),
        (&["analyze", "--fail-on", ""], "critical"),
        (&["check", "--for", "rec"], "reconcile"),
        (&["completions", ""], "powershell"),
        (&["crd", ""], "install"),
        (&["explain", "lat"], "latest-tag"),
        (&["list", "pods", "--sel"], "--selector"),
    ] {
        let offered = completed_by_bash(words);
        assert!(offered.iter().any(|word| word == wanted), "{words:?}: {offered:?}");
    }
}

#[test]
fn without_a_command_the_help_is_shown() {
    let help = run(&[]);
    assert_eq!(help.status, 2);
    for command in
        ["analyze", "check", "completions", "explain", "list", "policy", "reconcile", "rules", "version"]
    {
        assert!(help.stderr.contains(command), "{command}");
    }
}
