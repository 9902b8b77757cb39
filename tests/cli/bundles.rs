//! Bundles and policies in files.

use insta::assert_snapshot;
use serde_json::Value;

use super::{directory, run, run_in};

const TEAM: &str = "apiVersion: kube-devops/v1\nkind: PolicyBundle\nmetadata: {name: team}\ndescription: Ours\n\
                    extends: company\nexclude: [pending]\nspec: {enforcementMode: audit}\n";
const COMPANY: &str = "apiVersion: kube-devops/v1\nkind: PolicyBundle\nmetadata: {name: company}\n\
                       extends: restricted\nspec: {maxRestartCount: 5}\n";

fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

#[test]
fn the_bundles_are_listed_with_those_of_the_user() {
    assert_snapshot!(run(&["policy", "bundle-list"]));
    let tree = directory(&[("b/team.yaml", TEAM.as_bytes()), ("b/company.yaml", COMPANY.as_bytes())]);
    let own = run_in(tree.path(), &["policy", "bundle-list", "b"], "").stdout;
    assert!(own.contains("team             audit     5       company      Ours\n"), "{own}");
}

#[test]
fn analyze_under_a_bundle_is_analyze_under_the_policy_that_it_shows() {
    for name in ["baseline", "restricted", "permissive"] {
        let shown = run(&["policy", "bundle-show", name]);
        assert_eq!((shown.status, shown.stderr.as_str()), (0, ""), "{shown}");
        let tree = directory(&[("policy.yaml", shown.stdout.as_bytes())]);
        let policy = tree.path().join("policy.yaml");
        let samples = ["analyze", "-f", "kube-tests", "-o", "json"];
        let by_policy = run(&[&samples[..], &["--policy", policy.to_str().unwrap()]].concat());
        let by_bundle = run(&[&samples[..], &["--bundle", name]].concat());
        assert!(by_policy.stdout.contains("latest-tag"), "{by_policy}");
        assert_eq!(by_policy.stdout, by_bundle.stdout);
    }
}

#[test]
fn a_bundle_of_the_user_is_named_by_its_path() {
    let tree = directory(&[
        ("b/team.yaml", TEAM.as_bytes()),
        ("b/company.yaml", COMPANY.as_bytes()),
        ("b/other.yaml", b"kind: Kustomization\n"),
        ("alone.yaml", COMPANY.as_bytes()),
    ]);
    let show = |bundle: &str| run_in(tree.path(), &["policy", "bundle-show", bundle], "");
    assert_snapshot!(show("b/team"));
    assert!(show("./alone.yaml").stdout.contains("name: company\n"));
    for (bundle, refusal) in [
        ("nope", "there is no bundle \"nope\"; the bundles are baseline, permissive"),
        ("./nope.yaml", ". has no bundle \"nope.yaml\"; it has company"),
        ("./b", "./b has several bundles, company, team: name one, as in ./b/company"),
        ("b/team.yaml", "extends: there is no bundle \"company\""),
        ("b/other.yaml", "b/other.yaml: there is no PolicyBundle of kube-devops/v1 in it"),
    ] {
        let run = show(bundle);
        assert!(run.status == 2 && run.stderr.contains(refusal), "{bundle}: {run}");
    }
}

#[test]
fn a_shown_bundle_is_a_bundle_again() {
    let shown = run(&["policy", "bundle-show", "pss-restricted", "--as-bundle"]).stdout;
    assert!(
        shown.contains("\n  name: my-pss-restricted\n"),
        "the name of a built-in bundle is taken: {shown}"
    );
    let tree = directory(&[("own.yaml", shown.as_bytes())]);
    let rules = |bundle: &str| {
        let shown = run_in(tree.path(), &["policy", "bundle-show", bundle, "-o", "json"], "").stdout;
        let list: Value = serde_json::from_str(&shown).unwrap();
        list["items"][0]["spec"].clone()
    };
    assert_eq!(rules("./own.yaml"), rules("pss-restricted"));
}

#[test]
fn a_bundle_a_policy_and_rules_exclude_each_other() {
    for other in [["--policy", "p.yaml"], ["--rules", "all"]] {
        let run = run(&[&["analyze", "-f", "kube-tests", "--bundle", "baseline"][..], &other].concat());
        assert!(run.status == 2 && run.stderr.contains("cannot be used with"), "{run}");
    }
}

#[test]
fn a_diff_shows_each_setting_that_differs_and_exits_with_one() {
    let one = policy("p", "{forbidLatestTag: true, maxRestartCount: 3, rules: [{id: host-port}]}");
    let other = policy(
        "renamed",
        "{enforcementMode: audit, forbidLatestTag: true, maxRestartCount: 5, \
         rules: [{id: host-port, severity: low}]}",
    );
    let tree = directory(&[("one.yaml", one.as_bytes()), ("other.yaml", other.as_bytes())]);
    let diff = |args: &[&str]| run_in(tree.path(), &[&["policy", "diff"], args].concat(), "");
    assert_snapshot!(diff(&["one.yaml", "other.yaml"]));
    assert_snapshot!(diff(&["one.yaml", "other.yaml", "-o", "json"]));
    assert_eq!(diff(&["one.yaml", "one.yaml"]).to_string(), "----- exit 0");
    let bundle = diff(&["bundle:baseline", "one.yaml"]);
    assert!(bundle.status == 1 && bundle.stdout.contains("+++ one.yaml p\n"), "{bundle}");
    assert!(bundle.stdout.starts_with("--- bundle:baseline\n"), "{bundle}");
    let invalid = diff(&["one.yaml", "-"]);
    assert_eq!(invalid.status, 1, "{invalid}");
    assert!(invalid.stdout.contains("+++ /dev/null\n"), "{invalid}");
}

#[test]
fn a_diff_takes_a_bundle_from_a_file() {
    let tree = directory(&[
        ("company.yaml", COMPANY.as_bytes()),
        ("b/team.yaml", TEAM.as_bytes()),
        ("b/company.yaml", COMPANY.as_bytes()),
        ("b/policy/p.yaml", policy("p", "{maxRestartCount: 5}").as_bytes()),
    ]);
    let diff = |from: &str, to: &str| run_in(tree.path(), &["policy", "diff", from, to], "");
    let own = diff("bundle:restricted", "company.yaml");
    assert_eq!((own.status, own.stderr.as_str()), (1, ""), "{own}");
    assert!(own.stdout.starts_with("--- bundle:restricted\n+++ company.yaml\n@@"), "{own}");
    assert!(own.stdout.contains("\n-  maxRestartCount: 3\n+  maxRestartCount: 5\n"), "{own}");
    let policy = diff("company.yaml", "b/policy");
    assert!(policy.stdout.starts_with("--- company.yaml\n+++ b/policy p\n"), "{policy}");
    assert_eq!(diff("company.yaml", "bundle:b/company").to_string(), "----- exit 0");
    let several = diff("b", "bundle:baseline");
    assert!(
        several.status == 2 && several.stderr.contains("b has several bundles, company, team: name one"),
        "{several}"
    );
}

#[test]
fn the_impact_shows_other_outcomes_and_scores() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n\
                      spec: {template: {spec: {containers: [{name: main, image: nginx}]}}}\n";
    let tree = directory(&[("web.yaml", deployment.as_bytes())]);
    let impact = |from: &str, to: &str, more: &[&str]| {
        let args = ["policy", "diff", from, to, "--impact", "-f", "web.yaml"];
        run_in(tree.path(), &[&args[..], more].concat(), "")
    };
    assert_snapshot!(impact("bundle:baseline", "bundle:restricted", &[]));
    let json = impact("bundle:restricted", "bundle:baseline", &["-o", "json"]);
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["namespaces"][0]["noLongerFailing"][0]["workload"], "Deployment/web", "{json}");
    let same = impact("bundle:baseline", "bundle:baseline", &[]);
    let nothing =
        "shop: score 93, no difference\nNo workload has another outcome, and no score changes.\n----- exit 0";
    assert_eq!(same.to_string(), nothing);
}

#[test]
fn an_impact_on_nothing_says_so() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: shop}\n";
    let tree = directory(&[("config.yaml", config.as_bytes())]);
    let args = ["policy", "diff", "bundle:baseline", "bundle:restricted", "--impact", "-f", "config.yaml"];
    let run = run_in(tree.path(), &args, "");
    assert_eq!((run.status, run.stdout.as_str()), (0, ""), "{run}");
    assert!(run.stderr.starts_with("note: nothing was evaluated: "), "{run}");
}
