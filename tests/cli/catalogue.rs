//! Commands that tell about the program itself.

use insta::assert_snapshot;

use super::run;

#[test]
fn the_version_is_one_line() {
    assert_eq!(
        run(&["version"]).to_string(),
        format!("kube-devops version {}\n----- exit 0", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_rules_are_listed_and_each_is_explained() {
    assert_snapshot!(run(&["rules"]));
    assert_snapshot!(run(&["explain", "missing-resources"]));
    for rule in kube_devops::rules::RULES {
        assert_eq!(run(&["explain", rule.id.as_str()]).status, 0);
    }
    assert_snapshot!(run(&["explain", "latest"]));
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
fn without_a_command_the_help_is_shown() {
    let help = run(&[]);
    assert_eq!(help.status, 2);
    for command in
        ["analyze", "check", "completions", "explain", "list", "policy", "reconcile", "rules", "version"]
    {
        assert!(help.stderr.contains(command), "{command}");
    }
}
