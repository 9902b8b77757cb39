//! A scenario: a server in a workload is restarted by its owner, and then patched by enforcement.
//!
//! A new one takes a few lines:
//!
//! ```ignore
//! let outcome = Scenario::new(Workload::surging(), Server::tls()).run().await;
//! outcome.assert_verified();
//! outcome.assert_bound();
//! ```

use crate::fixture::{Cost, Fixture, Verdict};
use crate::server::Server;
use crate::workload::Workload;
use kube_devops::policy::RemediationPhase;
use std::time::Duration;

/// Requests that enforcement may lose beyond those that the worst of the owner's own restarts lost.
const TOLERANCE: u64 = 3;
/// The fields of a policy that gives probes.
const PROBES: &str = "requireLivenessProbe: true, requireReadinessProbe: true, enforcementMode: enforce";
/// Seconds in which a new pod has to get ready: the fewest that a policy may set.
const VERIFY_SECONDS: u32 = 30;

/// What is done, and to what.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    workload: Workload,
    server: Server,
    policy: &'static str,
    remediation: &'static str,
    restarts: usize,
    /// Time after a rollout in which requests may begin to be answered.
    patience: Duration,
    upset: Option<Upset>,
    watch: Duration,
}

/// What befalls a workload after the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upset {
    /// All pods are gone at the same time.
    ColdStart,
    /// A server crashes.
    Crash,
}

/// What the owner's restarts cost, and what enforcement did.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) own: Vec<Cost>,
    pub(crate) enforced: Cost,
    pub(crate) verdict: Verdict,
    /// What the upset and the time after it cost.
    pub(crate) later: Cost,
    /// The verdict at the end of that time.
    pub(crate) last: Verdict,
    /// Whether requests were answered then.
    pub(crate) is_served: bool,
}

impl Scenario {
    /// A scenario with three restarts by the owner, the shortest `verifySeconds`, and nothing after the verdict.
    pub(crate) fn new(workload: Workload, server: Server) -> Self {
        Self {
            workload,
            server,
            policy: PROBES,
            remediation: "",
            restarts: 3,
            patience: Duration::from_secs(20),
            upset: None,
            watch: Duration::ZERO,
        }
    }

    /// Replaces the fields of the policy other than `remediation`.
    pub(crate) fn policy(self, fields: &'static str) -> Self {
        Self { policy: fields, ..self }
    }

    /// Adds fields to `remediation` of the policy, such as `gitops: patch`.
    pub(crate) fn remediation(self, fields: &'static str) -> Self {
        Self { remediation: fields, ..self }
    }

    /// Sets the number of restarts by the owner, where the scenario is not about requests.
    pub(crate) fn restarts(self, restarts: usize) -> Self {
        Self { restarts, ..self }
    }

    /// Waits longer for answers after a rollout, of servers that are slow to listen.
    pub(crate) fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Goes on for a while after the verdict, and begins that with an upset.
    pub(crate) fn then(self, upset: Option<Upset>, watch: Duration) -> Self {
        Self { upset, watch, ..self }
    }

    /// Returns the policy's spec.
    fn spec(&self) -> String {
        let port = self.server.probed.map(|port| port + self.workload.offset);
        let probe = port.map_or_else(String::new, |port| format!(", defaultProbe: {{tcpPort: {port}}}"));
        let (policy, remediation) = (self.policy, self.remediation);
        format!("{{{policy}{probe}, remediation: {{verifySeconds: {VERIFY_SECONDS}, {remediation}}}}}")
    }

    /// Runs it in a namespace of its own.
    pub(crate) async fn run(&self) -> Outcome {
        let fixture = Fixture::new(&self.workload, &self.server).await;
        self.run_on(&fixture).await
    }

    /// Runs it on a fixture that is kept for more.
    pub(crate) async fn run_on(&self, fixture: &Fixture) -> Outcome {
        fixture.is_served_within(self.patience).await;
        let mut own = Vec::new();
        for round in 0..self.restarts {
            let (cost, ()) = fixture
                .cost(async || {
                    fixture.restart(round).await;
                    self.rest(fixture).await;
                })
                .await;
            own.push(cost);
        }
        let (enforced, verdict) = fixture
            .cost(async || {
                let verdict = fixture.enforce(&self.spec()).await;
                self.rest(fixture).await;
                verdict
            })
            .await;
        let (later, ()) = fixture.cost(async || self.later(fixture).await).await;
        let last = fixture.verdict().await.expect("a status");
        let is_served = fixture.is_served_within(self.patience).await;
        Outcome { own, enforced, verdict, later, last, is_served }
    }

    /// Waits for the end of a rollout and for answers.
    async fn rest(&self, fixture: &Fixture) {
        fixture.rolled_out().await;
        fixture.is_served_within(self.patience).await;
    }

    async fn later(&self, fixture: &Fixture) {
        match self.upset {
            Some(Upset::ColdStart) => fixture.delete_pods().await,
            Some(Upset::Crash) => fixture.crash().await,
            None => {}
        }
        tokio::time::sleep(self.watch).await;
    }
}

impl Outcome {
    /// Returns the worst of the owner's own restarts.
    pub(crate) fn worst(&self) -> Cost {
        let failed = self.own.iter().map(|cost| cost.failed).max().unwrap_or_default();
        let restarts = self.own.iter().map(|cost| cost.restarts).max().unwrap_or_default();
        Cost { failed, restarts }
    }

    /// Panics unless the patch was verified.
    pub(crate) fn assert_verified(&self) {
        assert_eq!(self.verdict.phase(), Some(RemediationPhase::Verified), "{self:#?}");
    }

    /// Panics unless the patch was withdrawn.
    pub(crate) fn assert_withdrawn(&self) {
        assert_eq!(self.verdict.phase(), Some(RemediationPhase::Withdrawn), "{self:#?}");
    }

    /// Panics unless there was no patch, and nobody lost anything by that.
    pub(crate) fn assert_left_alone(&self) {
        assert_eq!(self.verdict.phase(), None, "{self:#?}");
        assert_eq!(self.enforced, Cost::default(), "{self:#?}");
    }

    /// Panics if enforcement lost more than the worst of the owner's own restarts, and the tolerance.
    pub(crate) fn assert_bound(&self) {
        assert!(self.holds_bound(), "{self:#?}");
    }

    /// Tells whether enforcement lost no more than the worst of the owner's own restarts, and the tolerance.
    pub(crate) fn holds_bound(&self) -> bool {
        self.enforced.failed <= self.worst().failed + TOLERANCE
    }
}
