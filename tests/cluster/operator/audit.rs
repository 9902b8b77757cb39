//! The audit trail: what is written, how often, and how much of it stays.

use super::world::{World, pod};
use crate::eventually::eventually;
use crate::kubelet::{ready, set_pod_status};
use kube::ResourceExt;
use kube::api::DeleteParams;
use kube_devops::policy::PolicyAuditResult;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_newest_ten_stay_and_a_restart_repeats_none() {
    let world = World::shared().await;
    let shop = world.plane.namespace("shop");
    let flags = ["--audit-interval", "1s"];
    let operator = world.replica("operator-0", &flags);
    operator.wait_until_ready();
    let policy = world.policy(&shop, "base", "{forbidLatestTag: true, requireLivenessProbe: true}").await;
    let newest = async |sequence: u64| {
        eventually("the next audit result", async || {
            let results = world.results(&shop, "base").await;
            let last = results.last()?.annotations()["devops.stochastic.io/sequence"].parse::<u64>().unwrap();
            (last == sequence).then_some(results)
        })
        .await
    };
    newest(1).await;
    for round in 2..=12_u64 {
        // One more workload that is bad makes another set of violations.
        world.run(&shop, &pod(&format!("web-{round}"), "nginx")).await;
        newest(round).await;
    }
    let kept = eventually("ten are left", async || {
        let results = world.results(&shop, "base").await;
        (results.len() == 10).then_some(results)
    })
    .await;
    assert_eq!(kept[0].annotations()["devops.stochastic.io/sequence"], "3");
    assert_eq!((kept[9].spec.total_pods, kept[9].spec.total_violations), (11, 22));
    assert!(
        kept.iter().all(|result| result.labels()["devops.stochastic.io/policy-uid"] == policy.uid().unwrap())
    );
    for pair in kept.windows(2) {
        let between = pair[1].spec.timestamp.0.duration_since(pair[0].spec.timestamp.0).as_secs();
        assert!(between >= 1, "at most one in its time: {between}");
    }
    // Only their metadata are read.
    let watches: Vec<_> = world
        .plane
        .requests()
        .into_iter()
        .filter(|event| {
            event.by(&world.user) && event.resource == "policyauditresults" && event.verb != "create"
        })
        .map(|event| event.verb)
        .collect();
    assert!(watches.iter().all(|verb| ["list", "watch", "delete"].contains(&verb.as_str())), "{watches:?}");
    let log = operator.log();
    let synced = |log: &str| {
        let line = log.lines().find(|line| line.contains("policyauditresults in all")).unwrap().to_owned();
        serde_json::from_str::<serde_json::Value>(&line).unwrap()
    };
    assert!(synced(&log)["objects"].as_u64().is_some());

    // Killed and started again, it has nothing to add; killed before it heard of a change, it adds it once.
    operator.kill();
    let operator = world.replica("operator-1", &[&flags[..], &["--no-leader-election"]].concat());
    operator.wait_until_ready();
    let sync = synced(&operator.log());
    let (objects, bytes) = (sync["objects"].as_u64().unwrap(), sync["bytes"].as_u64().unwrap());
    assert!(objects >= 10 && bytes / objects < 2_000, "metadata only: {sync}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let names = |results: &[PolicyAuditResult]| results.iter().map(ResourceExt::name_any).collect::<Vec<_>>();
    assert_eq!(names(&world.results(&shop, "base").await), names(&kept));
    operator.kill();
    world.pods(&shop).delete("web-12", &DeleteParams::default().grace_period(0)).await.unwrap();
    let operator = world.replica("operator-2", &[&flags[..], &["--no-leader-election"]].concat());
    newest(13).await;
    assert_eq!(operator.metric("audit_results_total"), Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_large_result_stays_below_its_limit_as_the_api_server_keeps_it() {
    let world = World::shared().await;
    let shop = world.plane.namespace("shop");
    let _operator = world.operator();
    // Violations of the pods' own, with names as long as they get.
    for index in 0..150 {
        let name = format!("{}-{index}", "n".repeat(230));
        let made = serde_json::from_value(pod(&name, "nginx")).unwrap();
        world.pods(&shop).create(&kube::api::PostParams::default(), &made).await.unwrap();
    }
    let last = format!("{}-149", "n".repeat(230));
    set_pod_status(&world.client, &shop, &last, &ready()).await;
    world
        .policy(
            &shop,
            "base",
            "{forbidLatestTag: true, requireLivenessProbe: true, requireReadinessProbe: true}",
        )
        .await;
    let result = eventually("an audit result", async || world.results(&shop, "base").await.pop()).await;
    let bytes = serde_json::to_vec(&result).unwrap().len();
    assert!((25_000..=32 * 1024).contains(&bytes), "{bytes}");
    assert_eq!((result.spec.total_pods, result.spec.total_violations), (150, 450));
    assert!(result.spec.violations.len() < 450);
}
