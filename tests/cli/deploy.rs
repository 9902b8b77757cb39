//! `deploy` and `observability`: the manifests of an installation and of its monitoring.

use std::path::Path;

use super::{run, run_in};

#[test]
fn our_own_manifests_score_100_by_every_rule() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifests =
        run(&["deploy", "generate-all", "--network-policies", "--modes", "watch,enforce,native,webhook"]);
    assert_eq!(manifests.status, 0, "{manifests}");
    for policy in [&[][..], &["--policy", "kube-tests/policies/strict.yaml"]] {
        let report = run_in(
            root,
            &[&["analyze", "-f", "-", "-n", "kube-devops", "-o", "json"], policy].concat(),
            &manifests.stdout,
        );
        let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
        assert_eq!(report["summary"]["score"], 100, "{report:#}");
        assert_eq!(report["summary"]["workloads"], 3, "{report:#}");
        assert_eq!(report["violations"], serde_json::json!([]));
    }
}

#[test]
fn flags_choose_the_parts() {
    let with = |args: &[&str]| run(&[&["deploy"], args].concat()).stdout;
    let all = with(&["generate-all", "-n", "ops", "--image", "registry.example/kd:9", "--replicas", "3"]);
    for said in
        ["namespace: ops", "image: registry.example/kd:9", "replicas: 3", "kind: CustomResourceDefinition"]
    {
        assert!(all.contains(said), "{said}");
    }
    assert!(!all.contains("namespace: kube-devops") && !all.contains("NetworkPolicy"));
    assert!(!with(&["generate-all", "--no-crds"]).contains("CustomResourceDefinition"));
    let rbac = with(&["generate-rbac", "--modes", "watch", "--watch-namespace", "shop"]);
    assert!(rbac.contains("namespace: shop") && !rbac.contains("ClusterRole"), "{rbac}");
    let deployments =
        with(&["generate-deployments", "--modes", "watch,reconcile", "--system-namespace", "infra"]);
    assert_eq!(deployments.matches("--system-namespace=infra").count(), 2, "{deployments}");
    assert_eq!(run(&["deploy", "generate-all", "--replicas", "101"]).status, 2);
    let closed = ["deploy", "generate-all", "--modes", "webhook", "--fail-closed", "--replicas"];
    let one = run(&[&closed[..], &["1"]].concat());
    assert!(one.status == 2 && one.stderr.contains("--fail-closed needs two replicas"), "{one}");
    assert!(run(&[&closed[..], &["2"]].concat()).stdout.contains("failurePolicy: Fail"));
}

#[test]
fn monitoring_has_labels_and_runbooks_of_choice() {
    let flags = [
        "--monitor-label=release=prom",
        "--runbooks=https://ops.example/",
        "--dashboard-label=dash",
        "-nops",
    ];
    let all = run(&[&["observability", "generate-all"][..], &flags].concat()).stdout;
    for said in ["release: prom", "https://ops.example/KubeDevopsDown.md", "dash: '1'", "honorLabels: true"] {
        assert!(all.contains(said), "{said}");
    }
    let kinds = |what: &str| {
        let manifests = run(&["observability", what]).stdout;
        manifests
            .lines()
            .filter_map(|line| line.strip_prefix("kind: ").map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds("generate-service-monitors"), ["ServiceMonitor"; 2]);
    assert_eq!(kinds("generate-alerts"), ["PrometheusRule"]);
    assert_eq!(kinds("generate-fleet-rules"), ["PrometheusRule"]);
    assert_eq!(kinds("generate-dashboard"), ["ConfigMap"; 2]);
    assert_eq!(run(&["observability", "generate-all", "--monitor-label", "x"]).status, 2);
}
