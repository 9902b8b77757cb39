//! Selects the next workload, decides if it may be patched now, and sends the patch.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use tracing::{info, warn};

use super::apply::{apply_to_newest, fetch};
use super::apply_error::ApplyError;
use super::appraise::{Appraisal, Inquiry, appraise};
use super::candidates::{Candidate, candidates};
use super::enforcer::Enforcer;
use super::error::RemediationError;
use super::evidence;
use super::ledger::LedgerError;
use super::skips::Skip;
use crate::enforcement::records::{self, is_under_way, kind_of};
use crate::enforcement::{
    Allowance, BudgetDecision, EnforcingPolicy, Plan, Request, RolloutOrder, RolloutProgress, Service,
    Subject, Surroundings,
};
use crate::governance::AnnotatedExemptions;
use crate::policy::{
    CompiledPolicy, MOST_FIELDS, Remediation, RemediationPhase, RemediationReason, SkipReason,
};
use crate::workload::{Owner, WorkloadRef};

/// The maximum number of workloads fetched in one step.
const FETCHES: usize = 30;
/// Re-check interval for a transient blocker.
const PASSING: SignedDuration = SignedDuration::from_secs(15);
/// Re-check interval for a blocker that a user has to remove.
const STANDING: SignedDuration = SignedDuration::from_mins(5);
/// Time for which a patch is retried while the API server does not respond.
const PERSISTENCE: SignedDuration = SignedDuration::from_mins(2);
/// Time after sending within which a patch may still take effect.
const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(60);
/// Mean pause between two requests to the budgets; many policies may wait.
const ROOM: SignedDuration = SignedDuration::from_secs(10);
/// Pause while another workload of the namespace is being patched.
const TURN: SignedDuration = SignedDuration::from_secs(2);

/// The result of checking a candidate.
enum Checked {
    /// It is skipped.
    Skipped(Skip),
    /// It may be patched with this plan. The number is its usual restarts, if they are known.
    Ready(Box<Subject>, Box<Plan>, Option<i32>),
}

/// The enforcing policies of a namespace in order of precedence, and its Services.
pub(super) struct InForce {
    /// All policies of the namespace, whose records count.
    all: Vec<CompiledPolicy>,
    enforcing: Vec<EnforcingPolicy>,
    /// The Services of the namespace.
    services: Vec<Service>,
    /// The exemptions of the Namespace.
    exemptions: AnnotatedExemptions,
    /// A digest of the enforcing policies and of the Services, to detect changes.
    digest: u64,
}

impl InForce {
    /// Returns true if a workload of the namespace is being patched, or is under watch after a patch.
    fn is_busy(&self) -> bool {
        let records = self.all.iter().filter_map(|known| known.policy.status.as_ref());
        records.flat_map(|status| &status.remediations).any(is_under_way)
    }
}

impl Enforcer<'_> {
    /// Returns true if the policy enforces, and has not stopped itself.
    pub(super) fn begins(&self) -> bool {
        self.remediator.policies.enforces(&self.policy)
    }

    /// Patches the next workload, if there is one and the budgets allow it; returns the time of the next step.
    pub(super) async fn begin(&mut self) -> Result<Option<Timestamp>, RemediationError> {
        let force = self.in_force();
        let candidates = self.candidates(&force);
        self.remediator.skips().keep(&self.key, &candidates);
        if candidates.is_empty() {
            return Ok(None);
        }
        self.remediator.skips().hold_up(&self.key, "");
        if force.is_busy() {
            return Ok(Some(self.after(TURN)));
        }
        let mut surroundings = None;
        let surveyed = self.survey(&candidates, &force, &mut surroundings).await;
        let next = self.remediator.skips().next(&self.key, &candidates);
        let Some(candidate) = next else { return Ok(surveyed) };
        if !records::has_room(&self.policy) {
            return Ok(surveyed);
        }
        if !self.remediator.ledger.has_room() {
            self.remediator.skips().hold_up(&self.key, "the ledger has no room for notes of withdrawals");
            return Ok(surveyed);
        }
        // Checking a workload takes a dozen requests; checking the budget takes one.
        let workload = candidate.local().within(&self.namespace);
        let asked = self.remediator.would_grant(&self.request(workload, "")).await;
        if let Some(again) = self.held_up(asked, candidate.local()) {
            return Ok([surveyed, Some(again)].into_iter().flatten().min());
        }
        // The check may be outdated.
        match self.check(candidate, &force, &mut surroundings).await {
            Checked::Ready(subject, plan, usual) => self.patch(&subject, &plan, usual).await,
            Checked::Skipped(skip) => {
                self.remediator.skips().add(&self.key, candidate, force.digest, skip);
                Ok(Some(self.after(SignedDuration::from_secs(1))))
            }
        }
    }

    /// Returns the workloads that this policy would fix.
    fn candidates(&self, force: &InForce) -> Vec<Candidate> {
        let mut enforcing = force.enforcing.iter();
        let Some(own) = enforcing.find(|policy| policy.name == self.policy.name_any()) else {
            return Vec::new();
        };
        let workloads = self.remediator.workloads();
        let objects: Vec<_> = workloads.objects(&self.namespace).collect();
        let mut candidates = candidates(&objects, &own.effective, &force.exemptions, self.now());
        for candidate in &mut candidates {
            let trace = workloads.trace(candidate.kind, &self.namespace, &candidate.name);
            candidate.retried(trace.and_then(|trace| trace.retry));
        }
        candidates
    }

    /// Checks each workload without a valid result before any is patched, so the first audit result already lists the
    /// patches for GitOps sources. Returns the time of the next step.
    async fn survey(
        &self,
        candidates: &[Candidate],
        force: &InForce,
        surroundings: &mut Option<Surroundings>,
    ) -> Option<Timestamp> {
        let (mut next, mut fetched) = (None, 0);
        for candidate in candidates {
            let known = self.remediator.skips().until(&self.key, candidate, force.digest, self.now());
            if known.is_some() {
                next = [next, known].into_iter().flatten().min();
                continue;
            }
            if fetched == FETCHES {
                return Some(self.after(SignedDuration::from_secs(1)));
            }
            fetched += 1;
            let skip = match self.check(candidate, force, surroundings).await {
                Checked::Skipped(skip) => skip,
                Checked::Ready(subject, ..) => Skip {
                    reason: SkipReason::Waiting,
                    message: "its turn comes".to_owned(),
                    until: self.after(STANDING),
                    fix: None,
                    order: surroundings.as_ref().map(|around| RolloutOrder::of(&subject, &around.claims)),
                },
            };
            next = [next, Some(skip.until)].into_iter().flatten().min();
            self.remediator.skips().add(&self.key, candidate, force.digest, skip);
        }
        self.remediator.skips().complete(&self.key);
        next
    }

    /// Replans a workload whose patch was not sent. Drops the plan if the workload is no longer eligible.
    pub(super) async fn plan_again(
        &mut self,
        record: &Remediation,
    ) -> Result<Option<Timestamp>, RemediationError> {
        let planned = record.time.as_ref().map_or(Timestamp::MIN, |time| time.0);
        let since = self.now().duration_since(planned);
        let force = self.in_force();
        let mut candidates = self.candidates(&force).into_iter();
        let candidate = candidates
            .find(|candidate| kind_of(record) == Some(candidate.kind) && candidate.name == record.name);
        if let Some(candidate) = candidate.filter(|_| self.begins()) {
            let delayed = record.reason.is_some_and(is_delay);
            if delayed && since > PERSISTENCE {
                let (reason, message) = (SkipReason::NotSent, record.message.clone().unwrap_or_default());
                let skip = Skip { reason, message, until: self.after(STANDING), fix: None, order: None };
                self.give_up(record).await?;
                self.remediator.skips().add(&self.key, &candidate, force.digest, skip);
                return Ok(Some(self.after(TURN)));
            }
            if let Checked::Ready(subject, plan, usual) = self.check(&candidate, &force, &mut None).await {
                return self.patch(&subject, &plan, usual).await;
            }
        }
        // A sent patch may still be in flight, delayed by a webhook.
        if since < IN_FLIGHT {
            return Ok(Some(planned.saturating_add(IN_FLIGHT).unwrap_or(Timestamp::MAX)));
        }
        self.give_up(record).await?;
        Ok(Some(self.after(TURN)))
    }

    fn in_force(&self) -> InForce {
        let mut all = self.remediator.policies.in_namespace(&self.namespace);
        all.retain(|other| other.policy.uid() != self.policy.uid());
        let own = CompiledPolicy { policy: Arc::new(self.policy.clone()), effective: self.effective.clone() };
        let enforcing = EnforcingPolicy::beside(&own, &all);
        all.push(own);
        let mut hasher = DefaultHasher::new();
        for policy in all.iter().map(|known| &known.policy).filter(|policy| policy.is_in_force()) {
            (policy.uid(), policy.metadata.generation).hash(&mut hasher);
        }
        let services = self.remediator.workloads().services(&self.namespace);
        services.hash(&mut hasher);
        let exemptions = self.remediator.workloads().exemptions(&self.namespace);
        InForce { all, enforcing, services, exemptions, digest: hasher.finish() }
    }

    /// Fetches a workload and checks if it may be patched now.
    async fn check(
        &self,
        candidate: &Candidate,
        force: &InForce,
        surroundings: &mut Option<Surroundings>,
    ) -> Checked {
        let cluster = &self.remediator.cluster;
        let subject = match fetch(cluster, candidate.kind, &self.namespace, &candidate.name).await {
            Ok(Some(subject)) => subject,
            Ok(None) => return self.skip(SkipReason::Gone, "it is gone".to_owned(), PASSING),
            Err(error) => return self.failed(candidate, &error),
        };
        let around = match surroundings {
            Some(around) => around,
            None => match evidence::surroundings(cluster, &self.namespace, force.services.clone()).await {
                Ok(found) => {
                    surroundings.insert(Surroundings { exemptions: force.exemptions.clone(), ..found })
                }
                Err(error) => return self.failed(candidate, &error.into()),
            },
        };
        let inquiry = Inquiry {
            policies: &force.all,
            enforcing: &force.enforcing,
            remediation: &self.remediation(),
            surroundings: around,
            notes: &self.remediator.ledger.notes(),
        };
        let (plan, usual_restarts) = match appraise(cluster, &subject, &inquiry, self.now()).await {
            Ok(Appraisal::Ready { plan, usual_restarts }) => (plan, usual_restarts),
            Ok(Appraisal::Skipped { reason, message, passing, plan }) => {
                let until = self.after(if passing { PASSING } else { STANDING });
                let fix = plan.map(|plan| plan.fix(&subject));
                return Checked::Skipped(Skip { reason, message, until, fix, order: None });
            }
            Err(error) => return self.failed(candidate, &error),
        };
        if plan.policy != self.policy.name_any() {
            let message = format!("policy {} takes precedence", plan.policy);
            return self.skip(SkipReason::OtherPolicy, message, PASSING);
        }
        let set = records::set_so_far(&self.status(), &subject).len() + plan.adds.len();
        if set > MOST_FIELDS {
            let message = format!("{set} fields would be set, and at most {MOST_FIELDS} are");
            return self.skip(SkipReason::TooManyFields, message, STANDING);
        }
        let (allows, needed) =
            (Allowance::of(&self.remediation()), Allowance::needed(&subject, &around.claims));
        if (allows, needed) == (Allowance::OnePod, Allowance::OnePod) {
            match self.connect_test(&subject, &plan).await {
                Ok(None) => {}
                Ok(Some(found)) => {
                    let pause = if found.passing() { PASSING } else { STANDING };
                    return self.skip(found.reason(), found.to_string(), pause);
                }
                Err(error) => return self.failed(candidate, &error),
            }
        }
        Checked::Ready(Box::new(subject), Box::new(plan), usual_restarts)
    }

    /// Reserves a place in the budgets, writes the record, and sends the patch.
    async fn patch(
        &mut self,
        subject: &Subject,
        plan: &Plan,
        usual_restarts: Option<i32>,
    ) -> Result<Option<Timestamp>, RemediationError> {
        let workload = subject.reference();
        let reserved = self.remediator.reserve(&self.request(workload.clone(), subject.uid())).await;
        if let Some(again) = self.held_up(reserved, workload.local()) {
            return Ok(Some(again));
        }
        let planned = Remediation { usual_restarts, ..self.planned(subject, plan) };
        if let Err(error) = self.record(planned.clone()).await {
            // An action that cannot be recorded is not taken.
            if error.is_refused() {
                self.remediator.give_back(subject.uid()).await;
            }
            return Err(error);
        }
        self.remediator.skips().remove(&self.key, subject.kind(), subject.name());
        self.send_patch(subject, plan, planned).await
    }

    /// Sends a patch whose record is written, and returns the time of the next step.
    pub(super) async fn send_patch(
        &mut self,
        subject: &Subject,
        plan: &Plan,
        planned: Remediation,
    ) -> Result<Option<Timestamp>, RemediationError> {
        match apply_to_newest(&self.remediator.cluster, subject, &plan.document).await {
            Ok(after) => {
                let at = after.owned_since().unwrap_or_else(|| self.now());
                self.applied(&planned, at).await?;
                Ok(Some(self.poll()))
            }
            Err(error) if error.is_passing() => {
                self.tell_delayed(&planned, &error).await?;
                Ok(Some(self.unread(&planned, &error)))
            }
            Err(error) => {
                self.end(&planned, RemediationPhase::Failed, error.reason(), &error.to_string()).await?;
                Ok(Some(self.poll()))
            }
        }
    }

    /// Returns the record of a planned patch.
    pub(super) fn planned(&self, subject: &Subject, plan: &Plan) -> Remediation {
        let fields: Vec<String> = plan.adds.keys().map(ToString::to_string).collect();
        let earlier = records::about(&self.status(), subject).cloned();
        let planned = Remediation {
            namespace: None,
            kind: subject.kind().name().to_owned(),
            name: subject.name().to_owned(),
            uid: Some(subject.uid().to_owned()),
            phase: RemediationPhase::Planned,
            causes_hash: Some(self.causes_hash(subject)),
            generation: subject.metadata().generation,
            time: None,
            policy_generation: self.policy.metadata.generation,
            reason: None,
            message: None,
            withdrawal_refused: None,
            withdrawals: earlier.as_ref().and_then(|earlier| earlier.withdrawals),
            retry_after: earlier.and_then(|earlier| earlier.retry_after),
            earlier_fields: records::set_so_far(&self.status(), subject),
            fields,
            declared_ports: records::declared_ports(&self.status(), subject, plan),
            pods: Some(RolloutProgress::of(subject).wanted),
            usual_restarts: None,
            revision: None,
        };
        let words = format!("to be given {}", planned.fields.join(", "));
        let mut planned = records::in_phase(
            &planned,
            RemediationPhase::Planned,
            RemediationReason::Planned,
            &words,
            self.now(),
        );
        if let Some(delayed) = self.delayed(&planned) {
            // It is the same plan, whose delay was already reported.
            (planned.time, planned.reason, planned.message) = (delayed.time, delayed.reason, delayed.message);
        }
        planned
    }

    fn request(&self, workload: WorkloadRef, uid: &str) -> Request {
        let policy_per_hour = self.remediation().max_per_hour;
        Request { policy: self.key.clone(), policy_per_hour, workload, uid: uid.to_owned() }
    }

    /// Reports the obstacle and returns the time of the next request; `None` if there is room.
    fn held_up(
        &self,
        decision: Result<BudgetDecision, LedgerError>,
        workload: Owner<'_>,
    ) -> Option<Timestamp> {
        let pause = pause_for_room();
        let (by, again) = match decision {
            Ok(BudgetDecision::Granted) => return None,
            Ok(BudgetDecision::Wait { until: Some(until), reason }) => {
                let by = format!("{reason}; next slot at {} UTC", until.strftime("%H:%M:%S"));
                (by, until.max(self.now()))
            }
            Ok(BudgetDecision::Wait { until: None, reason }) => (reason, self.now()),
            Err(error) => (error.to_string(), self.now()),
        };
        info!(%workload, namespace = self.namespace, by, "waiting");
        self.remediator.skips().hold_up(&self.key, &by);
        Some(again.saturating_add(pause).unwrap_or(Timestamp::MAX))
    }

    /// Returns the record of a plan to which the API server did not respond, and which is retried.
    fn delayed(&self, again: &Remediation) -> Option<Remediation> {
        self.records().into_iter().find(|record| {
            record.phase == RemediationPhase::Planned
                && record.reason.is_some_and(is_delay)
                && (record.workload(), &record.uid) == (again.workload(), &again.uid)
        })
    }

    /// Records the first delay of a patch and sends an event; retries are silent.
    async fn tell_delayed(
        &mut self,
        planned: &Remediation,
        error: &ApplyError,
    ) -> Result<(), RemediationError> {
        if planned.reason.is_some_and(is_delay) {
            return Ok(());
        }
        let message = format!("it is tried again: {error}");
        let (phase, reason) = (RemediationPhase::Planned, error.reason());
        let delayed = records::in_phase(planned, phase, reason, &message, self.now());
        self.record(delayed.clone()).await?;
        self.tell(&delayed, phase, reason, &message).await;
        Ok(())
    }

    fn skip(&self, reason: SkipReason, message: String, pause: SignedDuration) -> Checked {
        Checked::Skipped(Skip { reason, message, until: self.after(pause), fix: None, order: None })
    }

    fn failed(&self, candidate: &Candidate, error: &ApplyError) -> Checked {
        self.remediator.errors.with_label_values(&[error.category()]).inc();
        warn!(workload = candidate.name, namespace = self.namespace, %error, "cannot check the workload; will retry");
        let fix = self.remediator.skips().fix_of(&self.key, candidate);
        let until = self.after(PASSING);
        Checked::Skipped(Skip {
            reason: SkipReason::CheckFailed,
            message: error.to_string(),
            until,
            fix,
            order: None,
        })
    }
}

/// Returns true if a plan is tried again for this reason.
fn is_delay(reason: RemediationReason) -> bool {
    matches!(reason, RemediationReason::Unavailable | RemediationReason::Stale)
}

/// Returns the pause before the next request to the budgets, with jitter to spread the waiting policies.
pub(super) fn pause_for_room() -> SignedDuration {
    ROOM.mul_f64(0.5 + fastrand::f64())
}
