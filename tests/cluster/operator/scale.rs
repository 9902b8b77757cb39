//! Many policies, namespaces and pods: the delay and the cost of a status update.

use super::fixture::{OperatorFixture, plane, pod};
use crate::soak::soak;
use futures::future::join_all;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const POLICIES: usize = 4;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_change_is_in_the_status_within_a_second_for_one_patch_per_policy() {
    let (namespaces, pods, changes) = if soak() { (50, 200, 200) } else { (5, 40, 20) };
    let plane = plane();
    let fixture = OperatorFixture::on(&plane).await;
    let names: Vec<_> = (0..namespaces).map(|_| plane.namespace("shop")).collect();
    join_all(names.iter().map(async |name| {
        for index in 0..POLICIES {
            fixture
                .policy(name, &format!("p{index}"), "{forbidLatestTag: true, requireLivenessProbe: true}")
                .await;
        }
        for index in 0..pods {
            let pod = serde_json::from_value(pod(&format!("web-{index}"), "nginx:1")).unwrap();
            fixture.pods(name).create(&PostParams::default(), &pod).await.unwrap();
        }
    }))
    .await;
    let operator = fixture.operator();
    let before = u64::try_from(pods).unwrap();
    for name in &names {
        for index in 0..POLICIES {
            fixture
                .until(name, &format!("p{index}"), "evaluated", |status| status.violations == Some(before))
                .await;
        }
    }
    sleep(Duration::from_secs(2)).await;
    let mark = plane.mark();
    let mut times = Vec::new();
    for change in 0..changes {
        let (name, round) = (&names[change % names.len()], change / names.len());
        let image = json!({ "spec": { "containers": [{ "name": "main", "image": "nginx" }] } });
        let start = Instant::now();
        let pod = format!("web-{round}");
        fixture.pods(name).patch(&pod, &PatchParams::default(), &Patch::Strategic(image)).await.unwrap();
        let violations = before + 1 + u64::try_from(round).unwrap();
        loop {
            let policy = fixture.policies(name).get("p0").await.unwrap();
            if policy.status.unwrap().violations == Some(violations) {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{name}");
            sleep(Duration::from_millis(5)).await;
        }
        times.push(start.elapsed());
    }
    sleep(Duration::from_secs(1)).await;
    times.sort_unstable();
    let (median, slow) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    let mut writes = fixture.writes_since(mark);
    writes.retain(|event| event.resource != "events");
    let memory = operator.peak_memory();
    println!(
        "{} pods: median {median:?}, p99 {slow:?}, {} writes, {memory} KiB",
        namespaces * pods,
        writes.len()
    );
    // Other tests share the machine, except under `make soak`.
    let felt = if soak() { slow } else { median };
    assert!(felt < Duration::from_secs(1), "{felt:?}");
    assert_eq!(writes.len(), changes * POLICIES, "one status patch a policy");
    assert!(writes.iter().all(|event| event.subresource == "status"));
    // This is a debug build. The bench measures an optimized one.
    assert!(memory < 96 * 1024, "{memory} KiB");
}
