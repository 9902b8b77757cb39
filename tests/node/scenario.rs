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
use std::sync::Arc;
use std::time::Duration;

/// The number of requests that enforcement may lose in addition to the owner's worst restart.
const TOLERANCE: u64 = 3;
/// The fields of a policy that sets probes.
const PROBES: &str = "requireLivenessProbe: true, requireReadinessProbe: true, enforcementMode: enforce";
/// The time in seconds for a new pod to become ready: the minimum that a policy may set.
const VERIFY_SECONDS: u32 = 30;

/// A workload with its server, and the steps of the scenario.
#[derive(Clone)]
pub(crate) struct Scenario {
    workload: Workload,
    server: Server,
    policy: &'static str,
    remediation: &'static str,
    restarts: usize,
    /// The time limit after a rollout for the first answers.
    patience: Duration,
    upset: Option<Upset>,
    watch: Duration,
    control: Option<Arc<Fixture>>,
}

/// A disturbance of the workload after the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upset {
    /// All pods are deleted at the same time.
    ColdStart,
    /// A server crashes.
    Crash,
}

/// The costs of the owner's restarts and of enforcement, and the verdict.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) own: Vec<Cost>,
    pub(crate) enforced: Cost,
    /// The failed requests to a Service that nobody changes in that time. They are the machine's.
    pub(crate) noise: u64,
    pub(crate) verdict: Verdict,
    /// The cost of the upset and the time after it.
    pub(crate) later: Cost,
    /// The verdict at the end of that time.
    pub(crate) last: Verdict,
    /// True if requests were answered then.
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
            control: None,
        }
    }

    /// Shares a control with other scenarios. Each has its own otherwise.
    pub(crate) fn beside(self, control: &Arc<Fixture>) -> Self {
        Self { control: Some(Arc::clone(control)), ..self }
    }

    /// Replaces the fields of the policy other than `remediation`.
    pub(crate) fn policy(self, fields: &'static str) -> Self {
        Self { policy: fields, ..self }
    }

    /// Adds fields to `remediation` of the policy, such as `gitops: patch`.
    pub(crate) fn remediation(self, fields: &'static str) -> Self {
        Self { remediation: fields, ..self }
    }

    /// Sets the number of restarts by the owner, for scenarios that don't compare requests.
    pub(crate) fn restarts(self, restarts: usize) -> Self {
        Self { restarts, ..self }
    }

    /// Waits longer for answers after a rollout, for servers that are slow to listen.
    pub(crate) fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Continues after the verdict for the time `watch`, which begins with an upset.
    pub(crate) fn then(self, upset: Option<Upset>, watch: Duration) -> Self {
        Self { upset, watch, ..self }
    }

    /// Returns the policy's spec.
    fn spec(&self) -> String {
        let port = self.server.probed.map(|port| port + self.workload.offset);
        let probe = port.map_or_else(String::new, |port| format!(", defaultProbe: {{tcpPort: {port}}}"));
        let mut fields = vec![format!("verifySeconds: {VERIFY_SECONDS}")];
        let others = [self.workload.consent().field(), self.remediation].into_iter();
        fields.extend(others.filter(|field| !field.is_empty()).map(str::to_owned));
        let remediation = fields.join(", ");
        let policy = self.policy;
        format!("{{{policy}{probe}, remediation: {{{remediation}}}}}")
    }

    /// Runs the scenario in a new namespace.
    pub(crate) async fn run(&self) -> Outcome {
        let fixture = Fixture::new(&self.workload, &self.server).await;
        self.run_on(&fixture).await
    }

    /// Runs the scenario on a fixture that the test uses afterwards.
    pub(crate) async fn run_on(&self, fixture: &Fixture) -> Outcome {
        let control = match &self.control {
            Some(control) => Arc::clone(control),
            None => Arc::new(Fixture::control(&Server::listens()).await),
        };
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
        let enforce = async || {
            let verdict = fixture.enforce(&self.spec()).await;
            self.rest(fixture).await;
            verdict
        };
        let (noise, (enforced, verdict)) = control.cost(async || fixture.cost(enforce).await).await;
        let (later, ()) = fixture.cost(async || self.later(fixture).await).await;
        let last = fixture.verdict().await.expect("a status");
        let is_served = fixture.is_served_within(self.patience).await;
        Outcome { own, enforced, noise: noise.failed, verdict, later, last, is_served }
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
    /// Returns the highest cost of the owner's restarts.
    pub(crate) fn worst(&self) -> Cost {
        let failed = self.own.iter().map(|cost| cost.failed).max().unwrap_or_default();
        let restarts = self.own.iter().map(|cost| cost.restarts).max().unwrap_or_default();
        Cost { failed, restarts }
    }

    /// Adds the cost of a verdict that took a second look at the workload.
    pub(crate) fn with_rest(mut self, rest: Cost) -> Self {
        self.enforced.failed += rest.failed;
        self.enforced.restarts += rest.restarts;
        self
    }

    /// Panics unless the patch was verified.
    pub(crate) fn assert_verified(&self) {
        assert_eq!(self.verdict.phase(), Some(RemediationPhase::Verified), "{self:#?}");
    }

    /// Panics unless the patch was withdrawn.
    pub(crate) fn assert_withdrawn(&self) {
        assert_eq!(self.verdict.phase(), Some(RemediationPhase::Withdrawn), "{self:#?}");
    }

    /// Panics unless there was no patch and no cost.
    pub(crate) fn assert_left_alone(&self) {
        assert_eq!(self.verdict.phase(), None, "{self:#?}");
        assert_eq!(self.enforced, Cost::default(), "{self:#?}");
    }

    /// Panics if enforcement lost more than docs promise: the owner's worst restart plus the tolerance, and what a
    /// Service lost in the same time that nobody changed.
    pub(crate) fn assert_bound(&self) {
        assert!(self.holds_bound(), "{self:#?}");
    }

    /// Returns true if enforcement lost no more than that.
    pub(crate) fn holds_bound(&self) -> bool {
        self.enforced.failed <= self.worst().failed + TOLERANCE + self.noise
    }
}
