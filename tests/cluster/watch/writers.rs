//! There are never two writers: the events of three replicas under random faults are compared with the history of their
//! Lease.
//!
//! The API server has no watch cache, so that etcd returns the whole history at the end, and no watch has to survive
//! the faults. Resource versions are etcd's revisions, which order all writes independently of any clock.

use super::helpers::{LEASE, SHORT, account, create, degrade, holder, pod};
use crate::control_plane::{ControlPlane, config_of};
use crate::eventually::within;
use crate::process::Process;
use crate::soak::rounds;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, Resource};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

const NAMES: [&str; 3] = ["a", "b", "c"];
/// The time limit for a new leader after the last fault: a lease, its jitter, and pauses after failures.
const RECOVERY: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn no_event_is_written_by_a_replica_that_does_not_hold_the_lease() {
    let plane = ControlPlane::start_with(&["--watch-cache=false"]);
    let client = plane.client().await;
    let homes: Vec<_> = (0..4).map(|_| plane.namespace("writers")).collect();
    for home in &homes {
        create(&client, home, &pod("web")).await;
        degrade(&client, home, "web", false).await;
    }
    let kubeconfig = account(&plane, &homes[0], "watch").await;
    let start = Api::<Pod>::all(client.clone()).list(&ListParams::default()).await.unwrap();
    let start = start.metadata.resource_version.unwrap();

    let mut crew = Crew::start(&kubeconfig, &homes);
    let flips = tokio::spawn(flip(patient_client(&plane).await, homes.clone()));
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut faults = BTreeMap::new();
    for _ in 0..rounds(8, 100) {
        sleep(Duration::from_millis(random.u64(500..4_000))).await;
        let fault = crew.break_something(&plane, &mut random).await;
        *faults.entry(fault).or_insert(0) += 1;
        crew.replace_the_ended();
    }
    within(RECOVERY, "a leader after all", async || {
        crew.replace_the_ended();
        crew.replicas.iter().any(Process::leads).then_some(())
    })
    .await;
    // The leader needs time to write as well.
    sleep(Duration::from_secs(4)).await;
    flips.abort();
    drop(crew);
    let last = holder(&client, &homes[0]).await;
    assert!(!last.is_empty());

    let history = History::read(&client, &homes, &start).await;
    println!("faults: {faults:?}; {}", history.summary());
    history.check(seed);
    assert!(history.holders().len() > 1 && history.events.len() > 3, "{}", history.summary());
}

/// Moves the class of namespaces up and down, and ignores failures.
async fn flip(client: Client, homes: Vec<String>) {
    let mut degraded = false;
    loop {
        degraded = !degraded;
        for home in &homes {
            let status = super::helpers::running(if degraded { 12 } else { 0 });
            let patch = kube::api::Patch::Merge(json!({ "status": status }));
            let pods = Api::<Pod>::namespaced(client.clone(), home);
            // Failures are expected under faults.
            let _ = pods.patch_status("web", &kube::api::PatchParams::default(), &patch).await;
            sleep(Duration::from_millis(300)).await;
        }
    }
}

/// Returns a client without retries and with a time limit of two seconds.
async fn patient_client(plane: &ControlPlane) -> Client {
    let mut config = config_of(plane.kubeconfig()).await;
    config.default_retry = false;
    config.read_timeout = Some(Duration::from_secs(2));
    Client::try_from(config).unwrap()
}

/// Three replicas. Each is replaced when it ends.
struct Crew<'a> {
    kubeconfig: &'a Path,
    flags: Vec<String>,
    replicas: Vec<Process>,
}

impl<'a> Crew<'a> {
    fn start(kubeconfig: &'a Path, homes: &[String]) -> Self {
        let mut flags: Vec<_> = SHORT.iter().map(ToString::to_string).collect();
        flags.push(format!("--lease-namespace={}", homes[0]));
        let mut crew = Self { kubeconfig, flags, replicas: Vec::new() };
        crew.replicas = NAMES.iter().map(|name| crew.replica(name)).collect();
        crew
    }

    fn replica(&self, name: &str) -> Process {
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        Process::start("watch", self.kubeconfig, name, &flags)
    }

    fn replace_the_ended(&mut self) {
        for (place, name) in NAMES.iter().enumerate() {
            if self.replicas[place].ended().is_some() {
                self.replicas[place] = self.replica(name);
            }
        }
    }

    /// Injects a fault and returns its name.
    async fn break_something(&mut self, plane: &ControlPlane, random: &mut fastrand::Rng) -> &'static str {
        // Most faults affect the leader, because a standby writes nothing.
        let leader = self.replicas.iter().position(Process::leads);
        let target = leader.filter(|_| random.u8(..4) > 0).unwrap_or_else(|| random.usize(..NAMES.len()));
        let victim = &mut self.replicas[target];
        let pause = Duration::from_millis(random.u64(200..6_000));
        match random.u8(..10) {
            0 | 1 => {
                victim.signal("-KILL");
                victim.end(Duration::from_secs(2));
                "killed"
            }
            2 => {
                victim.signal("-TERM");
                victim.end(Duration::from_secs(6));
                "terminated"
            }
            3..=6 => {
                victim.signal("-STOP");
                sleep(pause).await;
                victim.signal("-CONT");
                "paused"
            }
            7 => {
                plane.kill_api_server();
                sleep(pause / 2).await;
                plane.start_api_server();
                "API server killed"
            }
            _ => {
                plane.pause_api_server();
                sleep(pause).await;
                plane.resume_api_server();
                "API server paused"
            }
        }
    }
}

/// A write of an event: its revision, its writer, and the time when that replica began it.
#[derive(Debug)]
struct Written {
    revision: u64,
    reporter: String,
    issued: Timestamp,
}

/// All writes of the Lease and of events.
struct History {
    /// The holder of the Lease from each revision on; empty after a release.
    tenures: Vec<(u64, String)>,
    events: Vec<Written>,
}

impl History {
    async fn read(client: &Client, homes: &[String], start: &str) -> Self {
        let leases = Api::<Lease>::namespaced(client.clone(), &homes[0]);
        let end: Lease = super::helpers::object(json!({ "metadata": { "name": "end" } }));
        leases.create(&PostParams::default(), &end).await.unwrap();
        let mut tenures: Vec<(u64, String)> = Vec::new();
        for lease in since(&leases, start, |lease| lease.metadata.name.as_deref() == Some("end")).await {
            let revision = revision(&lease);
            if lease.metadata.name.as_deref() == Some(LEASE) {
                let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
                if tenures.last().is_none_or(|(_, last)| *last != holder) {
                    tenures.push((revision, holder));
                }
            }
        }
        let mut events = Vec::new();
        for home in homes {
            let recorded = Api::<Event>::namespaced(client.clone(), home);
            let end: Event = super::helpers::object(json!({
                "metadata": { "name": "end", "namespace": home },
                "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "test/end",
                "reportingInstance": "end", "action": "End", "reason": "End", "type": "Normal",
                "regarding": { "kind": "Namespace", "name": home, "namespace": home },
            }));
            recorded.create(&PostParams::default(), &end).await.unwrap();
            for event in since(&recorded, start, |event| event.metadata.name.as_deref() == Some("end")).await
            {
                if event.reporting_controller.as_deref() == Some("kube-devops-watch") {
                    let repeated = event.series.as_ref().map(|series| series.last_observed_time.0);
                    events.push(Written {
                        revision: revision(&event),
                        issued: repeated.or(event.event_time.as_ref().map(|time| time.0)).unwrap(),
                        reporter: event.reporting_instance.unwrap_or_default(),
                    });
                }
            }
        }
        Self { tenures, events }
    }

    /// Asserts that the writer of each event held the Lease at that time.
    fn check(&self, seed: u64) {
        let strangers: Vec<_> = self
            .events
            .iter()
            .filter(|event| self.holder_at(event.revision) != event.reporter)
            .map(|event| format!("{} by {} since {}", event.revision, event.reporter, event.issued))
            .collect();
        assert!(strangers.is_empty(), "seed {seed}: {strangers:#?} against {:#?}", self.tenures);
    }

    fn holder_at(&self, revision: u64) -> &str {
        let before = self.tenures.partition_point(|(since, _)| *since <= revision);
        before.checked_sub(1).map_or("", |place| &self.tenures[place].1)
    }

    fn holders(&self) -> BTreeSet<&str> {
        self.tenures.iter().map(|(_, holder)| holder.as_str()).filter(|holder| !holder.is_empty()).collect()
    }

    fn summary(&self) -> String {
        let writers: BTreeSet<_> = self.events.iter().map(|event| &event.reporter).collect();
        let (holders, events) = (self.holders().len(), self.events.len());
        format!("{holders} replicas held the lease, {} of them wrote {events} events", writers.len())
    }
}

#[test]
#[should_panic(expected = "12 by a")]
fn an_event_by_a_former_leader_is_detected() {
    let tenures = [(3, "a"), (10, ""), (13, "b")].map(|(revision, holder)| (revision, holder.to_owned()));
    let written = |revision| Written { revision, reporter: "a".to_owned(), issued: Timestamp::UNIX_EPOCH };
    History { tenures: tenures.into(), events: [3, 9, 12].map(written).into() }.check(0);
}

fn revision<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_ref().unwrap().parse().unwrap()
}

/// Returns every version of every object since a revision, up to the one that ends the history.
async fn since<K>(api: &Api<K>, revision: &str, last: impl Fn(&K) -> bool) -> Vec<K>
where
    K: Resource + Clone + Debug + serde::de::DeserializeOwned,
{
    let mut versions = Vec::new();
    let mut changes = api.watch(&WatchParams::default(), revision).await.unwrap().boxed();
    while let Some(change) = changes.try_next().await.unwrap() {
        match change {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let done = last(&object);
                versions.push(object);
                if done {
                    break;
                }
            }
            WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(error) => panic!("{error:?}"),
        }
    }
    versions
}
