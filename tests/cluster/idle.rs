//! Simulates an idle hour in about a minute: recurring requests happen at least fifty times as often.
//!
//! A watch lives for 2 s instead of 100 s, the Lease is renewed every 20 ms instead of 2 s, the time between two audit
//! results is 5 s, and etcd is compacted as often. The test ends when everything has recurred as often as in an hour,
//! however slow the machine is.

use crate::control_plane::{AuditEvent, ControlPlane, Mark};
use crate::eventually::eventually;
use crate::operator::fixture::{OperatorFixture, plane, pod};
use crate::process::Process;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const WATCH: Duration = Duration::from_secs(2);
/// The number of renewals in an hour: of each watch and of the Lease.
const WATCHES: usize = 36;
const RENEWALS: usize = 1_800;
const LIMIT: Duration = Duration::from_mins(5);
/// The resources that `watch` watches.
const SEEN: &[&str] = &[
    "cronjobs",
    "daemonsets",
    "deployments",
    "jobs",
    "namespaces",
    "pods",
    "replicasets",
    "replicationcontrollers",
    "statefulsets",
];
/// The resources that `reconcile` watches.
const EVALUATED: &[&str] = &[
    "clusterdevopspolicies",
    "cronjobs",
    "daemonsets",
    "deployments",
    "devopspolicies",
    "jobs",
    "namespaces",
    "pods",
    "policyauditresults",
    "replicasets",
    "replicationcontrollers",
    "services",
    "statefulsets",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_idle_hour_only_renews_watches_and_the_lease() {
    let plane = plane();
    let fixture = OperatorFixture::on(&plane).await;
    let shop = plane.namespace("shop");
    let hurried = ["--watch-seconds", "2", "--lease-retry-period", "20ms"];
    let operator =
        fixture.replica("operator-0", &[&hurried[..], &["--audit-interval", "5s"]].concat()).synced();
    let observer = Process::spawn("watch", plane.kubeconfig(), "observer-0", &hurried).synced();
    fixture.run(&shop, &pod("a", "nginx")).await;
    fixture.policy(&shop, "base", "{forbidLatestTag: true, forbidPendingDuration: 5}").await;
    fixture.until(&shop, "base", "unhealthy", |status| status.violations == Some(1)).await;
    eventually("an audit result", async || fixture.results(&shop, "base").await.pop()).await;
    sleep(Duration::from_secs(2)).await;

    let (mark, start) = (plane.mark(), Instant::now());
    let parties = [(&*fixture.user, EVALUATED), ("admin", SEEN)];
    while !parties.iter().all(|(user, watched)| is_an_hour(&requests(&plane, mark, user), watched)) {
        assert!(start.elapsed() < LIMIT, "something happens too seldom: {:#?}", plane.requests_since(mark));
        sleep(WATCH).await;
        plane.compact_etcd();
    }
    println!("as in an hour after {:?}", start.elapsed());
    for (user, watched) in parties {
        let requests = requests(&plane, mark, user);
        let mut expected: BTreeSet<_> = watched.iter().map(|resource| (*resource, "watch")).collect();
        expected.insert(("leases", "update"));
        let kinds: BTreeSet<_> = requests.keys().map(|(resource, verb)| (&**resource, &**verb)).collect();
        assert_eq!(kinds, expected, "{user}");
        let watches = requests.into_iter().filter(|((_, verb), _)| verb == "watch");
        for watch in watches.flat_map(|(_, watches)| watches) {
            assert!(goes_on(&watch.uri), "it begins from scratch: {}", watch.uri);
        }
    }
    for process in [operator, observer] {
        let (status, _, log) = process.terminate();
        assert_eq!(status, Some(0), "{log}");
        assert!(!log.contains("watch interrupted"), "{log}");
    }
}

/// A user's requests since a mark, by resource and verb.
type Requests = BTreeMap<(String, String), Vec<AuditEvent>>;

fn requests(plane: &ControlPlane, mark: Mark, user: &str) -> Requests {
    let mut requests = Requests::new();
    for event in plane.requests_since(mark) {
        if event.user == user && event.by("kube-devops/") {
            requests.entry((event.resource.clone(), event.verb.clone())).or_default().push(event);
        }
    }
    requests
}

/// Returns true if everything has recurred as often as in an hour. The first watch of each kind began before.
fn is_an_hour(requests: &Requests, watched: &[&str]) -> bool {
    let count = |resource: &str, verb: &str| {
        requests.get(&(resource.to_owned(), verb.to_owned())).map_or(0, Vec::len)
    };
    count("leases", "update") >= RENEWALS && watched.iter().all(|resource| count(resource, "watch") > WATCHES)
}

/// Returns true if a watch continues another one: it names the version and asks for no initial events.
fn goes_on(uri: &str) -> bool {
    let version = uri.split(['?', '&']).find_map(|pair| pair.strip_prefix("resourceVersion="));
    version.is_some_and(|version| !["", "0"].contains(&version)) && !uri.contains("sendInitialEvents=true")
}
