//! A leader that ends, and an API server that is down for a while.

use super::fixture::{OperatorFixture, plane, pod};
use super::life::LEADER;
use crate::eventually::eventually;
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn only_the_leader_writes_and_a_standby_takes_over() {
    let fixture = OperatorFixture::shared().await;
    let shop = fixture.plane.namespace("shop");
    let leader = fixture.operator();
    eventually("a leader", async || (leader.metric(LEADER) == Some(1.0)).then_some(())).await;
    let standby = fixture.replica("operator-1", &[]);
    standby.wait_until_ready();
    fixture.policy(&shop, "base", "{forbidLatestTag: true}").await;
    fixture.until(&shop, "base", "evaluated", |status| status.healthy == Some(true)).await;
    let first = async || (leader.metric("audit_results_total") >= Some(1.0)).then_some(());
    eventually("the first audit result", first).await;
    let mark = fixture.plane.mark();
    fixture.run(&shop, &pod("a", "nginx")).await;
    fixture.until(&shop, "base", "unhealthy", |status| status.violations == Some(1)).await;
    let series = format!(r#"devopspolicy_violations{{namespace="{shop}",policy="base"}}"#);
    eventually("the standby evaluates too", async || (standby.metric(&series) == Some(1.0)).then_some(()))
        .await;
    sleep(Duration::from_secs(1)).await;
    let writes: Vec<_> =
        fixture.writes_since(mark).into_iter().map(|event| (event.resource, event.verb)).collect();
    let once = [("devopspolicies", "patch"), ("events", "create")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(writes, once, "one status and one event");
    assert_eq!(standby.metric(LEADER), Some(0.0));

    // A released Lease is taken over at once.
    let start = Instant::now();
    let (status, _, log) = leader.terminate();
    assert_eq!(status, Some(0), "{log}");
    fixture.run(&shop, &pod("b", "nginx")).await;
    fixture.until(&shop, "base", "taken over", |status| status.violations == Some(2)).await;
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    // The Lease of a killed leader is taken over when it expires.
    let other = fixture.replica("operator-2", &[]);
    other.wait_until_ready();
    fixture.run(&shop, &pod("c", "nginx")).await;
    fixture.until(&shop, "base", "evaluated", |status| status.violations == Some(3)).await;
    let start = Instant::now();
    standby.kill();
    fixture.run(&shop, &pod("d", "nginx")).await;
    fixture.until(&shop, "base", "taken over", |status| status.violations == Some(4)).await;
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(other.metric(LEADER), Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_operator_resumes_when_the_api_server_is_back() {
    let plane = plane();
    let fixture = OperatorFixture::on(&plane).await;
    let shop = plane.namespace("shop");
    // A slow start of the API server must not cost the Lease, because the process would end.
    let patient = ["--lease-duration", "90s", "--lease-renew-deadline", "80s"];
    let operator = fixture.replica("operator-0", &patient);
    operator.wait_until_ready();
    fixture.run(&shop, &pod("a", "nginx")).await;
    fixture.policy(&shop, "base", "{forbidLatestTag: true, forbidPendingDuration: 5}").await;
    fixture.until(&shop, "base", "unhealthy", |status| status.violations == Some(1)).await;
    for round in 0..2_u64 {
        plane.kill_api_server();
        sleep(Duration::from_secs(2)).await;
        plane.start_api_server();
        // New and old policies are evaluated on the changes since.
        let name = format!("after-{round}");
        fixture.policy(&shop, &name, "{forbidLatestTag: true}").await;
        fixture.run(&shop, &pod(&name, "nginx")).await;
        for policy in ["base", &name] {
            fixture.until(&shop, policy, "evaluated", |status| status.violations == Some(round + 2)).await;
        }
    }
    let log = operator.text();
    let interruptions = log.matches("watch interrupted").count();
    assert!(interruptions > 0 && interruptions < 120, "said, and not over and over: {interruptions}");
    let errors = log.lines().filter(|line| line.contains(r#""ERROR""#) && line.contains(r#":"kube_devops"#));
    assert_eq!(errors.count(), 0, "{log}");
    let (status, time, log) = operator.terminate();
    assert_eq!(status, Some(0), "{log}");
    assert!(time < Duration::from_secs(5), "{time:?}");
}
