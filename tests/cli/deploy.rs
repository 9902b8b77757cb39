//! `deploy` and `observability`: the manifests of an installation and of its monitoring.

use std::path::Path;
#[cfg(unix)]
use std::{fs, process::Command};

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
    for said in ["release: prom", "https://ops.example/KubeDevopsDown.md", "dash: \"1\"", "honorLabels: true"]
    {
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

#[test]
fn values_that_no_api_server_takes_are_refused() {
    for (flags, said) in [
        (&["deploy", "generate-all", "--image", ""][..], "not a reference to an image"),
        (&["deploy", "generate-all", "--image", "a b"], "not a reference to an image"),
        (&["observability", "generate-all", "--dashboard-label", "a b"], "not the key of a label"),
        (&["observability", "generate-all", "--monitor-label", "bad key=x"], "not the key of a label"),
        (&["observability", "generate-all", "--monitor-label", "team=a b"], "not the value of a label"),
        (&["observability", "generate-all", "--monitor-label", "team"], "not a label"),
    ] {
        let refused = run(flags);
        assert!(refused.status == 2 && refused.stderr.contains(said), "{flags:?}: {refused}");
    }
}

#[test]
fn a_namespace_given_twice_gets_one_role() {
    let of = |names: &[&str]| {
        let flags = names.iter().flat_map(|name| ["--watch-namespace", name]);
        run(&["deploy", "generate-all", "--modes", "watch"].into_iter().chain(flags).collect::<Vec<_>>())
            .stdout
    };
    assert_eq!(of(&["shop", "shop", "bank", "shop"]), of(&["shop", "bank"]));
}

#[test]
fn alerts_are_about_the_installed_components() {
    let of = |modes: &str| run(&["observability", "generate-alerts", "--modes", modes]).stdout;
    let (watch, webhook) = (of("watch"), of("webhook"));
    assert!(watch.contains("kube-devops-watch") && watch.contains("KubeDevopsWatchStale"), "{watch}");
    assert!(!watch.contains("kube-devops-reconcile") && !watch.contains("KubeDevopsWebhook"), "{watch}");
    assert!(
        webhook.contains("KubeDevopsWebhookErrors") && !webhook.contains("KubeDevopsWatchStale"),
        "{webhook}"
    );
    for rules in [watch, webhook] {
        assert!(
            rules.contains("KubeDevopsLeaderMissing") && rules.contains("KubeDevopsApiServerUnreachable")
        );
    }
}

#[cfg(unix)]
#[test]
fn the_krew_manifest_names_each_archive_with_its_checksum() {
    let archives = tempfile::tempdir().unwrap();
    let platforms =
        ["linux", "darwin", "windows"].into_iter().flat_map(|os| ["amd64", "arm64"].map(|arch| (os, arch)));
    let platforms: Vec<_> = platforms.collect();
    for (os, arch) in &platforms {
        fs::write(archives.path().join(format!("kube-devops-{os}-{arch}.tar.gz")), "").unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/krew/manifest");
    let run = Command::new(script).args(["1.2.3", "https://example.com/v1"]).arg(archives.path()).output();
    let run = run.unwrap();
    assert!(run.status.success(), "{run:?}");
    let plugin: serde_json::Value = yaml_serde::from_slice(&run.stdout).unwrap();
    assert_eq!(
        (&plugin["metadata"]["name"], &plugin["spec"]["version"]),
        (&"devops".into(), &"v1.2.3".into())
    );
    let listed = plugin["spec"]["platforms"].as_array().unwrap();
    assert_eq!(listed.len(), platforms.len());
    for (os, arch) in platforms {
        let uri = format!("https://example.com/v1/kube-devops-{os}-{arch}.tar.gz");
        let platform = listed.iter().find(|platform| platform["uri"] == *uri).unwrap();
        let labels = &platform["selector"]["matchLabels"];
        assert_eq!((&labels["os"], &labels["arch"]), (&os.into(), &arch.into()));
        // The checksum of nothing.
        let checksum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(platform["sha256"], checksum);
        assert_eq!(platform["bin"], if os == "windows" { "kube-devops.exe" } else { "kube-devops" });
    }
}
