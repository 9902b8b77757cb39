//! Objects that are evaluated, objects that are passed over, and gates that pass only what was evaluated.

use insta::assert_snapshot;

use super::*;

/// A template whose containers are those that are given.
fn template(api_version: &str, kind: &str, containers: &str, spec: &str) -> String {
    format!(
        "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: web, namespace: shop}}\n\
         spec: {{template: {{spec: {{containers: {containers}}}}}{spec}}}\n"
    )
}

/// Evaluates a file by its name: the exit status, the pods and the broken rules, and standard error.
fn evaluate(manifest: &str) -> (i32, u64, Vec<String>, String) {
    let tree = directory(&[("f.yaml", manifest.as_bytes())]);
    let run = run_in(tree.path(), &["analyze", "-f", "f.yaml", "-o", "json"], "");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).map_err(|_| run.to_string()).unwrap();
    let rules = report["violations"].as_array().unwrap().iter();
    let rules = rules.map(|violation| violation["rule"].as_str().unwrap().to_owned()).collect();
    (run.status, report["summary"]["pods"].as_u64().unwrap(), rules, run.stderr)
}

#[test]
fn workloads_of_other_projects_are_evaluated_by_their_templates() {
    let sound = "[{name: c, image: 'nginx:1', livenessProbe: {}, readinessProbe: {}}]";
    let latest = "[{name: c, image: nginx, livenessProbe: {}, readinessProbe: {}}]";
    for (api_version, kind) in [
        ("argoproj.io/v1alpha1", "Rollout"),
        ("apps.openshift.io/v1", "DeploymentConfig"),
        ("serving.knative.dev/v1", "Service"),
        ("apps.kruise.io/v1alpha1", "CloneSet"),
        ("apps.kruise.io/v1beta1", "StatefulSet"),
        ("apps.kruise.io/v1alpha1", "DaemonSet"),
    ] {
        for (containers, rules) in [(sound, vec![]), (latest, vec!["latest-tag".to_owned()])] {
            let manifest = template(api_version, kind, containers, "");
            assert_eq!(evaluate(&manifest), (0, 1, rules, String::new()), "{manifest}");
        }
    }
    let pod_template = "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: t}\n\
                        template: {spec: {containers: [{name: c, image: nginx}]}}\n";
    assert_eq!(evaluate(pod_template).2, ["latest-tag", "missing-liveness", "missing-readiness"]);
}

#[test]
fn an_empty_image_with_an_image_trigger_is_no_violation() {
    let triggers = ", triggers: [{type: ImageChange, imageChangeParams: {containerNames: [c], \
                    from: {kind: ImageStreamTag, name: 'web:latest'}}}]";
    let containers = "[{name: c, image: ' ', livenessProbe: {}, readinessProbe: {}}]";
    let manifest = template("apps.openshift.io/v1", "DeploymentConfig", containers, triggers);
    assert_eq!(evaluate(&manifest), (0, 1, vec![], String::new()));
    let without = template("apps.openshift.io/v1", "DeploymentConfig", containers, ", selector: {a: b}");
    let (status, pods, _, stderr) = evaluate(&without);
    assert_eq!((status, pods), (2, 0));
    assert!(stderr.contains("spec.template.spec.containers[0].image: container c has no image"), "{stderr}");
}

#[test]
fn a_kind_that_holds_containers_is_named() {
    let unknown = template("batch.example.com/v1", "Fleet", "[{name: c, image: nginx}]", "");
    let (status, pods, _, stderr) = evaluate(&unknown);
    assert_eq!((status, pods), (0, 0));
    let note = "note: 1 object that holds containers was not evaluated, because of the kind: Fleet (batch.example.com/v1)";
    assert!(stderr.lines().any(|line| line == note), "{stderr}");
}

#[test]
fn a_patch_is_passed_over_in_a_directory_and_an_error_by_itself() {
    let patch = template("apps/v1", "Deployment", "[{name: c, args: [a]}]", "");
    let scale = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n";
    let sound = "[{name: c, image: 'nginx:1', livenessProbe: {}, readinessProbe: {}}]";
    let whole = template("apps/v1", "Deployment", sound, ", selector: {}");
    let tree = directory(&[
        ("patch.yaml", patch.as_bytes()),
        ("scale.yaml", scale.as_bytes()),
        ("whole.yaml", whole.as_bytes()),
    ]);
    assert_snapshot!(run_in(tree.path(), &["analyze", "-f", "."], ""));
    for file in ["patch.yaml", "scale.yaml"] {
        assert_snapshot!(run_in(tree.path(), &["analyze", "-f", file], ""));
    }
}

#[test]
fn an_object_that_cannot_be_evaluated_is_an_error_in_a_directory_too() {
    for (containers, field, problem) in [
        ("[{name: c}]", "image", "container c has no image: name one"),
        ("[{image: 'a:1'}]", "name", "the container has no name: give it one"),
        (
            "[{name: c, image: 'a:{{ .Values.tag }}'}]",
            "image",
            "holds an unrendered template: render it first",
        ),
        ("[{name: '{{name}}', image: 'a:1'}]", "name", "holds an unrendered template: render it first"),
    ] {
        let manifest =
            format!("# a comment\n{}", template("apps/v1", "Deployment", containers, ", selector: {}"));
        let tree = directory(&[("f.yaml", manifest.as_bytes())]);
        let run = run_in(tree.path(), &["analyze", "-f", "."], "");
        assert_eq!((run.status, &*run.stdout), (2, ""), "{run}");
        let place = format!("f.yaml:5 (document 1): spec.template.spec.containers[0].{field}: ");
        assert!(run.stderr.contains(&place) && run.stderr.contains(problem), "{run}");
    }
}

#[test]
fn a_terminal_pod_hides_no_template() {
    let containers = "{name: c, image: nginx}";
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n\
         - {{apiVersion: batch/v1, kind: CronJob, metadata: {{name: report, namespace: shop}}, \
            spec: {{jobTemplate: {{spec: {{template: {{spec: {{containers: [{containers}]}}}}}}}}}}}}\n\
         - {{apiVersion: batch/v1, kind: Job, metadata: {{name: report-1, namespace: shop, \
            ownerReferences: [{{kind: CronJob, name: report, controller: true}}]}}, \
            spec: {{template: {{spec: {{containers: [{containers}]}}}}}}}}\n\
         - {{apiVersion: v1, kind: Pod, metadata: {{name: report-1-x, namespace: shop, \
            ownerReferences: [{{kind: Job, name: report-1, controller: true}}]}}, \
            spec: {{containers: [{containers}]}}, status: {{phase: Succeeded}}}}\n"
    );
    assert_eq!(evaluate(&list), (0, 1, vec!["latest-tag".to_owned()], String::new()));
}

#[test]
fn a_gate_needs_something_to_evaluate() {
    let pod = b"{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, \
                spec: {containers: [{name: c, image: 'd:1'}]}}";
    let tree = directory(&[("pod.yaml", pod), ("service.yaml", b"apiVersion: v1\nkind: Service\n")]);
    let gates: [&[&str]; 3] =
        [&["--fail-under", "1"], &["--fail-on", "critical"], &["--fail-under-compliance", "0"]];
    let run = |args: &[&str]| run_in(tree.path(), &[&["analyze"], args].concat(), "");
    for gate in gates {
        for (input, reason) in [
            (&["-f", "service.yaml"][..], "nothing was evaluated,"),
            (&["-f", "pod.yaml", "-n", "shpo"], "nothing was evaluated,"),
            (&["-f", "pod.yaml", "-l", "app=web"], "nothing was evaluated,"),
            (&["-f", "pod.yaml", "-n", "shop", "-n", "bank"], "nothing was evaluated in namespace bank,"),
        ] {
            let args = [input, gate].concat();
            let refused = run(&args);
            let error =
                format!("error: {reason} so the thresholds prove nothing; --allow-empty accepts that\n");
            assert!(refused.status == 2 && refused.stderr.ends_with(&error), "{args:?}: {refused}");
            let accepted = run(&[&args[..], &["--allow-empty"]].concat());
            assert_eq!(accepted.status, 0, "{args:?}: {accepted}");
            assert_eq!(run(input).status, 0, "{input:?}: without a threshold there is no gate");
        }
        assert_eq!(run(&[&["-f", "pod.yaml"], gate].concat()).status, 0);
    }
}
