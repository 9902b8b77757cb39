//! Random workloads and policies. By the API server's audit log, each eligible workload is patched once, and no other
//! write to any workload happens.

use super::fixture::{EnforcementFixture, PodState, workload};
use crate::soak::rounds;
use fastrand::Rng;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube_devops::policy::RemediationPhase;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A property of a generated workload. Its template breaks a rule unless it is `Whole`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Ignored,
    Controlled,
    BeingDeleted,
    Paused,
    NoPods,
    RecreatedWhole,
    OnDelete,
    Partitioned,
    /// Its pods are not ready.
    Unavailable,
    /// Its pods were ready, and a later change by a user is stuck.
    RollingOut,
    /// A GitOps tool manages it. Enforcement skips it unless the policy says otherwise.
    Managed,
    /// It declares no port to probe.
    Portless,
    /// It has the required probes.
    Whole,
}

const DEPLOYMENT: [Mark; 11] = [
    Mark::Ignored,
    Mark::Controlled,
    Mark::BeingDeleted,
    Mark::Paused,
    Mark::NoPods,
    Mark::RecreatedWhole,
    Mark::Unavailable,
    Mark::RollingOut,
    Mark::Managed,
    Mark::Portless,
    Mark::Whole,
];
const STATEFUL_SET: [Mark; 9] = [
    Mark::Ignored,
    Mark::Controlled,
    Mark::BeingDeleted,
    Mark::OnDelete,
    Mark::Partitioned,
    Mark::NoPods,
    Mark::Unavailable,
    Mark::Managed,
    Mark::Whole,
];
const DAEMON_SET: [Mark; 9] = [
    Mark::Ignored,
    Mark::Controlled,
    Mark::BeingDeleted,
    Mark::OnDelete,
    Mark::NoPods,
    Mark::Unavailable,
    Mark::Managed,
    Mark::Portless,
    Mark::Whole,
];

/// A namespace and its policy.
struct Place {
    fixture: EnforcementFixture,
    enforces: bool,
    /// True if its policy patches workloads that a GitOps tool manages.
    takes_managed: bool,
    /// True if its policy allows a rollout that leaves no pod.
    takes_downtime: bool,
}

/// A generated workload and its properties.
struct Made<'p> {
    place: &'p Place,
    kind: &'static str,
    name: String,
    marks: Vec<Mark>,
}

impl Made<'_> {
    fn has(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }

    /// Returns true if enforcement may patch it and has a fix for it.
    fn may_be_patched(&self) -> bool {
        let Place { enforces, takes_managed, takes_downtime, .. } = self.place;
        let mut against = self.marks.iter().filter(|mark| match mark {
            Mark::Managed => !takes_managed,
            Mark::RecreatedWhole => !takes_downtime,
            _ => true,
        });
        *enforces && (*takes_downtime || self.kind == "Deployment") && against.next().is_none()
    }

    fn document(&self) -> Value {
        let mut object = workload(self.kind, &self.name);
        object["metadata"]["labels"] = json!({});
        object["metadata"]["annotations"] = json!({});
        if self.kind == "DaemonSet" {
            let node = json!({ "fixture": self.place.fixture.namespace });
            object["spec"]["template"]["spec"]["nodeSelector"] = node;
        }
        for mark in &self.marks {
            let container = "/spec/template/spec/containers/0";
            match mark {
                Mark::Ignored => {
                    object["metadata"]["annotations"]["devops.stochastic.io/ignore"] = json!("true");
                }
                Mark::Controlled => {
                    object["metadata"]["ownerReferences"] = json!([
                        { "apiVersion": "x/v1", "kind": "App", "name": "a", "uid": "u", "controller": true },
                    ]);
                }
                Mark::BeingDeleted => object["metadata"]["finalizers"] = json!(["example.com/hold"]),
                Mark::Paused => object["spec"]["paused"] = json!(true),
                Mark::NoPods if self.kind == "DaemonSet" => {
                    object["spec"]["template"]["spec"]["nodeSelector"] = json!({ "fixture": "elsewhere" });
                }
                Mark::NoPods => object["spec"]["replicas"] = json!(0),
                Mark::RecreatedWhole => object["spec"]["strategy"] = json!({ "type": "Recreate" }),
                Mark::OnDelete => object["spec"]["updateStrategy"] = json!({ "type": "OnDelete" }),
                Mark::Partitioned => {
                    object["spec"]["updateStrategy"] =
                        json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 1 } });
                }
                Mark::Unavailable => {
                    object["spec"]["template"]["metadata"]["labels"]["pod_state"] = json!("stuck");
                }
                Mark::RollingOut => {}
                Mark::Managed => {
                    object["metadata"]["annotations"]["meta.helm.sh/release-name"] = json!("shop");
                }
                Mark::Portless => {
                    *object.pointer_mut(container).unwrap() = json!({ "name": "main", "image": "x:1" });
                }
                Mark::Whole => {
                    let container = object.pointer_mut(container).unwrap();
                    for probe in ["livenessProbe", "readinessProbe"] {
                        container[probe] = json!({ "httpGet": { "path": "/", "port": 8080 } });
                    }
                }
            }
        }
        object
    }

    /// Creates the workload. Returns when its state has all its properties.
    async fn make(&self) {
        let document = self.document();
        self.place.fixture.create(self.kind, &self.name, |object| *object = document).await;
        let still = [Mark::Paused, Mark::NoPods, Mark::Unavailable];
        if !self.marks.iter().any(|mark| still.contains(mark)) {
            self.place.fixture.until_available(self.kind, &self.name).await;
        }
        let api = self.place.fixture.api(self.kind);
        if self.has(Mark::RollingOut) {
            let change =
                json!({ "spec": { "template": { "metadata": { "labels": { "pod_state": "stuck" } } } } });
            api.patch(&self.name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
        }
        if self.has(Mark::BeingDeleted) {
            api.delete(&self.name, &DeleteParams::default()).await.unwrap();
        }
    }
}

fn pod_state(pod: &Pod) -> PodState {
    if pod.labels().get("pod_state").is_some_and(|pod_state| pod_state == "stuck") {
        PodState::Stuck
    } else {
        PodState::Ready
    }
}

/// Generates the workloads of a namespace. At most one is eligible, since a policy patches one at a time.
fn made_up<'p>(place: &'p Place, random: &mut Rng) -> Vec<Made<'p>> {
    let mut made: Vec<Made<'p>> = Vec::new();
    for index in 0..8 {
        let (kind, marks) = match random.u8(0..3) {
            0 => ("Deployment", &DEPLOYMENT[..]),
            1 => ("StatefulSet", &STATEFUL_SET[..]),
            _ => ("DaemonSet", &DAEMON_SET[..]),
        };
        let count = random.usize(0..3);
        let marks = random.choose_multiple(marks.iter().copied(), count);
        let contradict = marks.contains(&Mark::Portless) && marks.contains(&Mark::Whole)
            // A workload with both would never reach both states.
            || marks.contains(&Mark::RollingOut) && marks.len() > 1
            || marks.contains(&Mark::RecreatedWhole) && marks.contains(&Mark::NoPods);
        if contradict {
            continue;
        }
        let next = Made { place, kind, name: format!("w{index}"), marks };
        if !next.may_be_patched() || !made.iter().any(Made::may_be_patched) {
            made.push(next);
        }
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn only_eligible_workloads_are_patched() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let first = EnforcementFixture::alone(pod_state).await;
    let mut places = Vec::new();
    for index in 0..rounds(14, 50) {
        let name = if index % 7 == 6 { format!("shop-{index}-system") } else { format!("shop-{index}") };
        first.base.namespace_named(&name).await;
        let fixture = first.in_namespace(name, pod_state).await;
        fixture.node("one").await;
        let (mode, gitops) =
            (["audit", "enforce", "enforce"][index % 3], random.choice(["report", "patch"]).unwrap());
        let takes_downtime = random.u8(0..3) > 0;
        let enforces = mode == "enforce" && !fixture.namespace.ends_with("-system");
        places.push((
            Place { fixture, enforces, takes_managed: gitops == "patch", takes_downtime },
            mode,
            gitops,
        ));
    }
    // The operator's own namespace is excluded like a system namespace.
    let home = first.in_namespace(first.base.home.clone(), pod_state).await;
    home.node("one").await;
    places.push((
        Place { fixture: home, enforces: false, takes_managed: true, takes_downtime: true },
        "enforce",
        "patch",
    ));
    let made: Vec<Made<'_>> = places.iter().flat_map(|(place, ..)| made_up(place, &mut random)).collect();
    join_all(made.iter().map(Made::make)).await;

    let mark = first.base.plane.mark();
    let operator = first.base.replica("operator-0", &["--max-rollouts", "100", "--max-per-hour", "1000"]);
    operator.wait_until_ready();
    for (place, mode, gitops) in &places {
        let spec = format!(
            "{{requireLivenessProbe: true, requireReadinessProbe: true, enforcementMode: {mode}, \
             remediation: {{verifySeconds: 30, gitops: {gitops}, allowDowntime: {}}}}}",
            place.takes_downtime
        );
        place.fixture.policy("standard", &spec).await;
    }
    let may: BTreeSet<_> = made.iter().filter(|made| made.may_be_patched()).map(key).collect();
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let mut patched = BTreeSet::new();
        for (place, ..) in &places {
            let records = place.fixture.status("standard").await.remediations.into_iter();
            let there = records.filter(|record| record.phase != RemediationPhase::Planned);
            patched.extend(there.map(|record| (place.fixture.namespace.clone(), record.kind, record.name)));
        }
        if patched == may {
            break;
        }
        let (missing, wrong): (Vec<_>, Vec<_>) =
            (may.difference(&patched).collect(), patched.difference(&may).collect());
        assert!(Instant::now() < deadline && wrong.is_empty(), "missing {missing:?}, wrong {wrong:?}");
        sleep(Duration::from_millis(500)).await;
    }
    sleep(Duration::from_secs(10)).await;

    let writes = first.base.writes_since(mark);
    let groups = ["apps", "batch"];
    let of_workloads = writes
        .iter()
        .filter(|event| event.code != 409 && (groups.contains(&&*event.group) || event.resource == "pods"));
    let written: Vec<_> =
        of_workloads.map(|event| (&*event.verb, &*event.namespace, &*event.resource, &*event.name)).collect();
    let expected: BTreeSet<_> = may
        .iter()
        .map(|(namespace, kind, name)| ("patch", &**namespace, format!("{}s", kind.to_lowercase()), &**name))
        .collect();
    let expected: BTreeSet<_> =
        expected.iter().map(|(verb, space, plural, name)| (*verb, *space, &**plural, *name)).collect();
    assert_eq!(written.iter().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!(written.len(), expected.len(), "each is patched once: {written:?}");
    assert!(expected.len() > places.len() / 5, "made-up cases that may be patched: {}", expected.len());
    println!("{} workloads, {} patched", made.len(), expected.len());
    let refused: Vec<_> = writes.iter().filter(|event| event.code == 403).collect();
    assert!(refused.is_empty(), "it tries nothing that it may not do: {refused:?}");
}

fn key(made: &Made<'_>) -> (String, String, String) {
    (made.place.fixture.namespace.clone(), made.kind.to_owned(), made.name.clone())
}
