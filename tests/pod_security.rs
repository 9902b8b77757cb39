//! Compares the security rules with the Pod Security Standards: with upstream's fixtures, and with upstream's code on
//! generated pods.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "pod_security/generate.rs"]
mod generate;
#[path = "pod_security/upstream.rs"]
mod upstream;

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube_devops::governance::{Analysis, Scope};
use kube_devops::policy::EffectivePolicy;
use kube_devops::workload::{Fields, Object};
use serde::Deserialize as _;
use serde_json::{Value, json};

/// A check of upstream, and the rules that stand for it. It fails if one of them fires.
struct Check {
    id: &'static str,
    rules: &'static [&'static str],
}

const fn check(id: &'static str, rules: &'static [&'static str]) -> Check {
    Check { id, rules }
}

/// The checks of the level `baseline`.
const BASELINE: [Check; 12] = [
    check("appArmorProfile", &["unconfined-apparmor"]),
    check("capabilities_baseline", &["non-default-capability"]),
    check("hostNamespaces", &["host-namespace"]),
    check("hostPathVolumes", &["host-path-volume"]),
    check("hostPorts", &["host-port"]),
    check("hostProbesAndHostLifecycle", &["probe-host"]),
    check("privileged", &["privileged-container"]),
    check("procMount", &["unmasked-proc"]),
    check("seLinuxOptions", &["custom-selinux-options"]),
    check("seccompProfile_baseline", &["unconfined-seccomp"]),
    check("sysctls", &["unsafe-sysctl"]),
    check("windowsHostProcess", &["windows-host-process"]),
];

/// The checks that the level `restricted` adds.
const RESTRICTED: [Check; 7] = [
    check("allowPrivilegeEscalation", &["privilege-escalation"]),
    check("capabilities_restricted", &["retained-capabilities"]),
    check("procMount_restricted", &["unmasked-proc"]),
    check("restrictedVolumes", &["restricted-volume-type", "host-path-volume"]),
    check("runAsNonRoot", &["possible-root-user"]),
    check("runAsUser", &["explicit-root-user"]),
    check("seccompProfile_restricted", &["missing-seccomp-profile", "unconfined-seccomp"]),
];

/// Returns the checks that an object fails by our rules.
fn failed(object: &Value, checks: &[Check]) -> BTreeSet<&'static str> {
    let ids: BTreeSet<&str> = checks.iter().flat_map(|check| check.rules).copied().collect();
    let fired = |in_user_namespace: bool| -> BTreeSet<String> {
        let rules = ids.iter().map(|id| match *id {
            "unmasked-proc" => json!({ "id": id, "params": { "allowInUserNamespace": in_user_namespace } }),
            id => json!({ "id": id }),
        });
        let spec = json!({ "rules": rules.collect::<Vec<_>>() });
        let policy = EffectivePolicy::from_spec(&serde_json::from_value(spec).unwrap()).unwrap();
        let scope = Scope::default();
        let mut analysis = Analysis::new(&policy, &scope, Timestamp::UNIX_EPOCH, true);
        let object = Fields::All.within(|| Object::deserialize(object)).unwrap();
        analysis.add(&object, None);
        let report = analysis.finish();
        assert_eq!(report.summary.pods, 1);
        report.violations.iter().map(|violation| violation.rule.to_string()).collect()
    };
    let (loose, strict) = (fired(true), fired(false));
    let fails = |check: &&Check| {
        let fired = if check.id == "procMount" { &loose } else { &strict };
        check.rules.iter().any(|rule| fired.contains(*rule))
    };
    checks.iter().filter(fails).map(|check| check.id).collect()
}

/// Returns a pod as it is, in a Deployment, and in a `CronJob`.
fn in_each_kind(pod: &Value) -> [Value; 3] {
    let template = json!({ "metadata": pod["metadata"], "spec": pod["spec"] });
    let mut pod = pod.clone();
    (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d" },
        "spec": { "selector": {}, "template": template },
    });
    let cron_job = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "c" },
        "spec": { "jobTemplate": { "spec": { "template": template } } },
    });
    [pod, deployment, cron_job]
}

#[test]
fn every_fixture_of_upstream_gets_its_verdict() {
    let Some(fixtures) = upstream::fixtures() else { return };
    let mut seen = BTreeSet::new();
    for fixture in &fixtures {
        let checks: Vec<Check> = match &*fixture.level {
            "baseline" => BASELINE.into(),
            _ => BASELINE.into_iter().chain(RESTRICTED).collect(),
        };
        for object in in_each_kind(&fixture.pod) {
            let failed = failed(&object, &checks);
            match &fixture.fails {
                None => assert!(failed.is_empty(), "{}: {failed:?}", fixture.name),
                Some(check) => {
                    let found = failed.iter().find(|id| id.eq_ignore_ascii_case(check));
                    assert!(found.is_some(), "{}: {failed:?}", fixture.name);
                    seen.insert(check.clone());
                }
            }
        }
    }
    assert!(fixtures.len() >= 148, "{} fixtures", fixtures.len());
    assert_eq!(seen.len(), BASELINE.len() + RESTRICTED.len(), "{seen:?}");
}

#[test]
fn upstream_and_the_rules_evaluate_generated_pods_alike() {
    let pods = generate::pods(4_000);
    let Some(verdicts) = upstream::evaluate(&pods) else { return };
    let checks: Vec<Check> = BASELINE.into_iter().chain(RESTRICTED).collect();
    let mut failures = 0;
    for (pod, theirs) in pods.iter().zip(verdicts) {
        let [pod, ..] = in_each_kind(pod);
        let mut ours: BTreeSet<String> = failed(&pod, &checks).into_iter().map(str::to_owned).collect();
        if pod["spec"]["os"]["name"] == "windows" {
            // The level `restricted` lets a Windows pod have any profile, and so even those that `baseline` refuses.
            ours.remove("seccompProfile_restricted");
        }
        failures += ours.len();
        assert_eq!(ours, theirs, "{pod}");
    }
    assert!(failures > pods.len(), "the generated pods break too little");
}
