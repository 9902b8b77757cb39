//! An operator that is killed with SIGKILL at random moments, compared with one that isn't.

use super::fixture::{OperatorFixture, plane, pod};
use crate::eventually::eventually;
use crate::process::Process;
use crate::soak::rounds;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube_devops::operator::FINALIZER;
use kube_devops::policy::{DevOpsPolicy, PolicyAuditResult};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

const FLAGS: [&str; 3] = ["--no-leader-election", "--audit-interval", "100ms"];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_killed_operator_writes_the_same_as_one_that_is_not() {
    let rounds = rounds(6, 50);
    let plane = plane();
    let fixture = OperatorFixture::on(&plane).await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let mut killed = Story::begin(&fixture).await;
    for round in 0..rounds {
        let victim = fixture.replica("operator", &FLAGS);
        let lives = Duration::from_millis(random.u64(0..1_500));
        tokio::join!(killed.step(round), sleep(lives));
        victim.kill();
        // Its successor completes the work and is killed as well.
        let successor = fixture.replica("operator", &FLAGS);
        killed.settle(round, &successor).await;
        successor.kill();
    }

    let mut whole = Story::begin(&fixture).await;
    let operator = fixture.replica("operator", &FLAGS);
    for round in 0..rounds {
        whole.step(round).await;
        whole.settle(round, &operator).await;
    }

    let told = |story: &Story<'_>| story.chapters.iter().map(|(_, results)| results.len()).sum::<usize>();
    println!("{} kills; {} statuses and {} results", 2 * rounds, whole.chapters.len(), told(&whole));
    for (round, (one, other)) in killed.chapters.iter().zip(&whole.chapters).enumerate() {
        assert_eq!(one, other, "seed {seed}, round {round}");
    }
    // Every content exists once, and none is missing.
    let mut sequences: Vec<_> = whole.chapters.iter().flat_map(|(_, results)| results).collect();
    sequences.retain(|result| result["spec"]["policyName"] == "base");
    sequences.dedup();
    let sequences: Vec<_> = sequences.iter().map(|result| result["sequence"].as_str().unwrap()).collect();
    let counted: Vec<_> = (1..=sequences.len()).map(|count| count.to_string()).collect();
    assert_eq!(sequences, counted);
    operator.kill();
}

/// The changes to a namespace, and the operator's output for them.
struct Story<'w> {
    fixture: &'w OperatorFixture<'w>,
    namespace: String,
    pods: u64,
    probes: bool,
    brief: bool,
    /// The statuses and the newest results of the existing policies after each step.
    chapters: Vec<(Vec<Value>, Vec<Value>)>,
}

impl<'w> Story<'w> {
    async fn begin(fixture: &'w OperatorFixture<'w>) -> Self {
        let namespace = fixture.plane.namespace("shop");
        fixture.policy(&namespace, "base", "{forbidLatestTag: true}").await;
        Self { fixture, namespace, pods: 0, probes: false, brief: false, chapters: Vec::new() }
    }

    /// Changes one object, so that there is no observable state between before and after.
    async fn step(&mut self, round: usize) {
        let Self { fixture, namespace, .. } = &*self;
        match round % 6 {
            0 | 2 => {
                fixture.run(namespace, &pod(&format!("web-{round}"), "nginx")).await;
                self.pods += 1;
            }
            1 => {
                let probes = !self.probes;
                let change = json!({ "spec": { "requireLivenessProbe": probes, "maxRestartCount": round } });
                let params = PatchParams::default();
                fixture.policies(namespace).patch("base", &params, &Patch::Merge(change)).await.unwrap();
                self.probes = probes;
            }
            5 => {
                fixture.policies(namespace).delete("brief", &DeleteParams::default()).await.unwrap();
                self.brief = false;
            }
            3 => {
                fixture.policy(namespace, "brief", "{forbidLatestTag: true}").await;
                self.brief = true;
            }
            _ => {
                let name = format!("web-{}", round - 2);
                fixture
                    .pods(namespace)
                    .delete(&name, &DeleteParams::default().grace_period(0))
                    .await
                    .unwrap();
                self.pods -= 1;
            }
        }
    }

    /// Waits until statuses and results are up to date, and records them.
    async fn settle(&mut self, round: usize, operator: &Process) {
        let what = format!("the outcome of round {round}");
        let chapter = eventually(&what, async || {
            let mut chapter = (Vec::new(), Vec::new());
            for (name, there, rules) in [("base", true, 1 + u64::from(self.probes)), ("brief", self.brief, 1)]
            {
                let policy = self.fixture.policies(&self.namespace).get_opt(name).await.unwrap();
                assert!(policy.is_some() || !there, "{name} in round {round}");
                let Some(policy) = policy else { continue };
                // The policy is being deleted.
                if !there {
                    return None;
                }
                let mut results = self.fixture.results(&self.namespace, name).await;
                // The garbage collector has yet to delete the results of an earlier policy of that name.
                results.retain(|result| Some(&result.owner_references()[0].uid) == policy.uid().as_ref());
                let newest = results.pop()?;
                let status = policy.status.clone()?;
                let current = status.observed_generation == policy.metadata.generation;
                let counts = (newest.spec.total_pods, newest.spec.total_violations);
                let violations = rules * self.pods;
                if !current || status.violations != Some(violations) || counts != (self.pods, violations) {
                    return None;
                }
                chapter.0.push(timeless(&policy));
                chapter.1.push(content(&newest));
            }
            Some(chapter)
        })
        .await;
        assert!(!operator.text().contains("not reconciled"), "{}", operator.text());
        self.chapters.push(chapter);
    }
}

/// Returns the comparable part of a policy: its finalizers and its status, without times.
fn timeless(policy: &DevOpsPolicy) -> Value {
    assert_eq!(policy.finalizers(), [FINALIZER]);
    let mut status = json!(policy.status);
    assert!(status["lastEvaluated"].take().is_string(), "{status}");
    for condition in status["conditions"].as_array_mut().unwrap() {
        assert!(condition["lastTransitionTime"].take().is_string(), "{condition}");
    }
    status
}

/// Returns the comparable part of a result: its name, its digest and its content, without the time.
fn content(result: &PolicyAuditResult) -> Value {
    let mut spec = json!(result.spec);
    assert!(spec["timestamp"].take().is_string(), "{spec}");
    let annotation = |key: &str| &result.annotations()[&format!("devops.stochastic.io/{key}")];
    json!({ "sequence": annotation("sequence"), "content": annotation("content"), "spec": spec })
}
