//! Electors against a fake Lease in paused time: each scenario, then random schedules of faults.

mod fake;
mod schedules;

use super::*;
use fake::{Fault, Link, Store};
use serde_json::json;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

struct Replica {
    link: Link,
    leadership: Leadership,
    identity: String,
    stop: CancellationToken,
    task: JoinHandle<Result<(), LostLease>>,
}

impl Replica {
    fn start(store: &Store, pod: &str) -> Self {
        let (link, stop) = (Link::default(), CancellationToken::new());
        let settings = Settings::new("ns", "lease", pod);
        let identity = settings.identity.clone();
        let (elector, leadership) = Elector::new(store.client(&link), settings).unwrap();
        let task = tokio::spawn(elector.run(stop.clone().cancelled_owned()));
        Self { link, leadership, identity, stop, task }
    }

    /// Starts a replica and waits until it leads.
    async fn leading(store: &Store, pod: &str) -> Self {
        let mut replica = Self::start(store, pod);
        timeout(SECOND, replica.leadership.acquired()).await.expect("it should lead at once");
        replica.link.asked();
        replica
    }

    async fn acquired_after(&mut self) -> Duration {
        let start = Instant::now();
        timeout(120 * SECOND, self.leadership.acquired()).await.expect("it should lead in the end");
        start.elapsed()
    }

    async fn lost(self) -> LostLease {
        self.task.await.unwrap().expect_err("the lease should be lost")
    }
}

/// Runs a process that makes no step while it is paused, though time passes.
async fn pausable<T>(process: impl Future<Output = T>, paused_until: Arc<Mutex<Instant>>) -> T {
    let (mut process, mut resume) = (pin!(process), pin!(sleep(Duration::ZERO)));
    poll_fn(|context| {
        let until = *paused_until.lock().unwrap();
        if Instant::now() < until {
            resume.as_mut().reset(until);
            if resume.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        process.as_mut().poll(context)
    })
    .await
}

fn held_by_another(store: &Store) {
    store.edit(|lease| {
        lease["spec"] = json!({"holderIdentity": "other", "leaseDurationSeconds": 15, "leaseTransitions": 3});
    });
}

#[tokio::test(start_paused = true)]
async fn a_missing_lease_is_created_and_renewed_with_one_request_each_retry_period() {
    let store = Store::new();
    let leader = Replica::leading(&store, "a").await;
    assert_eq!(store.spec()["holderIdentity"], json!(leader.identity));
    assert_eq!(
        (&store.spec()["leaseTransitions"], &store.spec()["leaseDurationSeconds"]),
        (&json!(0), &json!(15))
    );
    sleep(21 * SECOND).await;
    assert_eq!(leader.link.asked(), vec!["PUT"; 10]);
    assert!(leader.leadership.is_leader());
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_claimed_only_after_it_expires_by_the_local_clock() {
    let store = Store::new();
    held_by_another(&store);
    let mut standby = Replica::start(&store, "b");
    sleep(10 * SECOND).await;
    // The renewal's time is an hour ahead, but it counts from now.
    store.edit(|lease| lease["spec"]["renewTime"] = json!("2093-01-01T00:00:00.000000Z"));
    let waited = standby.acquired_after().await;
    assert!((15 * SECOND..=15 * SECOND + EXPIRY_JITTER * 2).contains(&waited), "{waited:?}");
    assert_eq!(store.spec()["leaseTransitions"], json!(4));
    assert_eq!(
        standby.link.asked(),
        ["GET", "WATCH", "GET", "PUT"],
        "a standby with a watch asks for nothing else"
    );
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_claimed_at_once() {
    let store = Store::new();
    let leader = Replica::leading(&store, "a").await;
    let mut standby = Replica::start(&store, "b");
    sleep(30 * SECOND).await;
    leader.stop.cancel();
    assert!(standby.acquired_after().await < SECOND / 10);
    assert!(leader.task.await.unwrap().is_ok() && !leader.leadership.is_leader());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_writes_an_empty_holder_and_a_standby_writes_nothing() {
    let store = Store::new();
    let leader = Replica::leading(&store, "a").await;
    let standby = Replica::start(&store, "b");
    sleep(5 * SECOND).await;
    standby.stop.cancel();
    standby.task.await.unwrap().unwrap();
    assert!(!standby.link.asked().iter().any(|verb| verb == "PUT" || verb == "POST"));
    leader.stop.cancel();
    leader.task.await.unwrap().unwrap();
    let spec = store.spec();
    assert_eq!((&spec["holderIdentity"], &spec["leaseDurationSeconds"]), (&json!(""), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_not_released_under_a_write_that_does_not_end() {
    let store = Store::new();
    let leader = Replica::leading(&store, "a").await;
    let leadership = leader.leadership.clone();
    let write = tokio::spawn(async move { leadership.write(pending::<()>()).await });
    tokio::task::yield_now().await;
    let start = Instant::now();
    leader.stop.cancel();
    leader.task.await.unwrap().unwrap();
    assert!(start.elapsed() < 2 * SECOND && write.await.unwrap().is_err());
    assert_eq!(store.spec()["holderIdentity"], json!(leader.identity));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_while_the_api_is_away_ends_in_time() {
    let store = Store::new();
    let leader = Replica::leading(&store, "a").await;
    leader.link.set(Fault::Hang);
    sleep(3 * SECOND).await;
    let start = Instant::now();
    leader.stop.cancel();
    leader.task.await.unwrap().unwrap();
    assert!(start.elapsed() < 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_outage_shorter_than_the_deadline_keeps_the_leadership() {
    for fault in [Fault::Hang, Fault::Refuse] {
        let store = Store::new();
        let leader = Replica::leading(&store, "a").await;
        leader.link.set(fault);
        sleep(7 * SECOND).await;
        leader.link.set(Fault::None);
        sleep(20 * SECOND).await;
        assert!(leader.leadership.is_leader());
    }
}

#[tokio::test(start_paused = true)]
async fn a_longer_outage_loses_it_at_the_deadline_and_ends_the_elector() {
    for fault in [Fault::Hang, Fault::Refuse] {
        let store = Store::new();
        let start = Instant::now();
        let leader = Replica::leading(&store, "a").await;
        leader.link.set(fault);
        let leadership = leader.leadership.clone();
        let lost = leader.lost().await;
        assert!(matches!(&lost, LostLease::Late { source: Some(_), .. }), "{lost:?}");
        assert!(!leadership.is_leader() && start.elapsed() <= 10 * SECOND + SECOND / 100);
    }
}

#[tokio::test(start_paused = true)]
async fn the_duration_of_a_call_shortens_the_leadership() {
    let (store, link, start) = (Store::new(), Link::default(), Instant::now());
    link.set(Fault::Slow { there: Duration::ZERO, back: 4 * SECOND });
    let (elector, mut leadership) =
        Elector::new(store.client(&link), Settings::new("ns", "lease", "a")).unwrap();
    let task = tokio::spawn(elector.run(pending()));
    sleep(5 * SECOND).await;
    link.set(Fault::Hang);
    leadership.acquired().await;
    assert_eq!(start.elapsed().as_secs(), 8, "a read and a claim of 4 s each");
    task.await.unwrap().unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 14, "10 s after the claim was sent");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_stopped_asks_for_nothing_more_and_ends() {
    let (store, link, paused_until) = (Store::new(), Link::default(), Arc::new(Mutex::new(Instant::now())));
    let (elector, mut leadership) =
        Elector::new(store.client(&link), Settings::new("ns", "lease", "a")).unwrap();
    let task = tokio::spawn(pausable(elector.run(pending()), paused_until.clone()));
    leadership.acquired().await;
    sleep(5 * SECOND).await;
    link.asked();
    *paused_until.lock().unwrap() = Instant::now() + 11 * SECOND;
    let lost = task.await.unwrap().unwrap_err();
    assert!(matches!(lost, LostLease::Late { source: None, .. }) && link.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_conflict_on_renewal_is_investigated() {
    let store = Store::new();
    let leader = Replica::leading(&store, "a").await;
    store.edit(|lease| lease["metadata"]["annotations"] = json!({"touched": "yes"}));
    sleep(5 * SECOND).await;
    assert!(leader.leadership.is_leader(), "an edit that leaves the holder alone costs nothing");
    assert_eq!(leader.link.asked(), ["PUT", "GET", "PUT", "PUT"]);
    held_by_another(&store);
    let lost = leader.lost().await;
    assert!(matches!(&lost, LostLease::Ousted { holder, .. } if holder == "other"), "{lost:?}");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_with_a_lost_response_is_recognized() {
    let store = Store::new();
    let leader = Replica::leading(&store, "a").await;
    leader.link.set(Fault::Mute);
    sleep(3 * SECOND).await;
    leader.link.set(Fault::None);
    sleep(20 * SECOND).await;
    assert!(leader.leadership.is_leader());
    assert_eq!(store.spec()["leaseTransitions"], json!(0));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_recreated_by_its_holder() {
    let store = Store::new();
    let leader = Replica::leading(&store, "a").await;
    let standby = Replica::start(&store, "b");
    sleep(5 * SECOND).await;
    store.delete();
    sleep(20 * SECOND).await;
    assert!(leader.leadership.is_leader() && !standby.leadership.is_leader());
    assert_eq!(store.spec()["holderIdentity"], json!(leader.identity));
}

#[tokio::test(start_paused = true)]
async fn a_standby_without_a_watch_polls_at_most_once_a_second() {
    let store = Store::new();
    let leader = Replica::leading(&store, "a").await;
    let mut standby = Replica::start(&store, "b");
    standby.link.set(Fault::Deaf);
    sleep(100 * SECOND).await;
    let asked = standby.link.asked().len();
    assert!((40..=101).contains(&asked), "{asked} requests in 100 s");
    leader.stop.cancel();
    assert!(standby.acquired_after().await <= 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_detected_at_expiry() {
    let store = Store::new();
    let leader = Replica::leading(&store, "a").await;
    let mut standby = Replica::start(&store, "b");
    sleep(SECOND).await;
    standby.link.set(Fault::Deaf);
    sleep(20 * SECOND).await;
    assert!(!standby.leadership.is_leader());
    standby.link.set(Fault::None);
    sleep(5 * SECOND).await;
    leader.stop.cancel();
    assert!(standby.acquired_after().await < SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_standby_backs_off_while_the_api_is_away() {
    let store = Store::new();
    held_by_another(&store);
    let standby = Replica::start(&store, "b");
    standby.link.set(Fault::Refuse);
    sleep(100 * SECOND).await;
    let asked = standby.link.asked().len();
    assert!((8..=17).contains(&asked), "{asked} requests in 100 s");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_changes_hands_all_the_time_makes_no_storm() {
    let store = Store::new();
    held_by_another(&store);
    let standby = Replica::start(&store, "b");
    let refusing = standby.link.clone();
    for round in 0..1_000 {
        // The Lease is vacant when the watch reports it, and held again when the standby reads it.
        store.edit(|lease| lease["spec"]["holderIdentity"] = json!(""));
        refusing.set(Fault::Slow { there: SECOND / 50, back: Duration::ZERO });
        sleep(SECOND / 100).await;
        store.edit(|lease| lease["spec"]["holderIdentity"] = json!(format!("other-{round}")));
        sleep(SECOND / 100 * 9).await;
    }
    let asked = standby.link.asked().len();
    assert!(asked <= 220, "{asked} requests in 100 s");
}
