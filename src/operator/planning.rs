//! Beginning something new: which workload is next, may it be patched now, and with what.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use tracing::{info, warn};

use super::candidates::{Candidate, candidates};
use super::enforcer::Enforcer;
use super::left_out::LeftOut;
use super::{Operator, ReconcileError};
use crate::enforcement::records::{self, is_under_way, kind_of};
use crate::enforcement::{
    self, ApplyError, Appraisal, Decision, Enforcing, Inquiry, Plan, Progress, Request, Subject, Surroundings,
};
use crate::policy::{DevOpsPolicy, EnforcementMode, Remediation, RemediationPhase, SuggestedFix};

/// How many workloads are fetched in one step at most.
const FETCHES: usize = 30;
/// How long a workload is left in peace whose state passes.
const PASSING: SignedDuration = SignedDuration::from_secs(15);
/// How long a workload is left in peace where somebody has to do something.
const STANDING: SignedDuration = SignedDuration::from_mins(5);
/// How long to wait while another workload of the namespace has its turn.
const TURN: SignedDuration = SignedDuration::from_secs(2);

/// What became of a candidate.
enum Considered {
    /// It is left as it is.
    Left(LeftOut),
    /// It is patched, or was tried.
    Begun(Option<Timestamp>),
    /// Nothing may be patched before this time.
    Wait(Timestamp),
}

/// The policies of a namespace that enforce, in the order in which they decide.
pub(super) struct InForce {
    /// All policies of the namespace, whose records count.
    all: Vec<DevOpsPolicy>,
    enforcing: Vec<Enforcing>,
    /// A digest of them, to tell when one changed.
    digest: u64,
}

impl Enforcer<'_> {
    /// Tells whether the policy asks for patches, and has not stopped itself.
    pub(super) fn begins(&self) -> bool {
        enforces(self.operator, &self.policy)
    }

    /// Patches the next workload, where there is one and the budgets allow it; returns when to look again.
    pub(super) async fn begin(&mut self) -> Result<Option<Timestamp>, ReconcileError> {
        if !self.begins() || self.records().len() >= records::KEPT {
            return Ok(None);
        }
        let force = self.in_force();
        let Some(own) = force.enforcing.iter().find(|policy| policy.name == self.policy.name_any()) else {
            return Ok(None);
        };
        let candidates = {
            let inventory = self.operator.inventory();
            candidates(inventory.objects(&self.namespace), &own.effective, self.now())
        };
        self.operator.left_out().keep(&self.namespace, &candidates);
        let records = force.all.iter().filter_map(|policy| policy.status.as_ref());
        let busy = records.flat_map(|status| &status.remediations).any(is_under_way);
        if candidates.is_empty() {
            return Ok(None);
        }
        if busy {
            return Ok(Some(self.after(TURN)));
        }
        let (mut next, mut fetched, mut surroundings) = (None, 0, None);
        for candidate in &candidates {
            let known = self.operator.left_out().until(&self.namespace, candidate, force.digest, self.now());
            if known.is_some() {
                next = [next, known].into_iter().flatten().min();
                continue;
            }
            if fetched == FETCHES {
                return Ok(Some(self.after(SignedDuration::from_secs(1))));
            }
            fetched += 1;
            match self.consider(candidate, &force, &mut surroundings).await? {
                Considered::Left(left) => {
                    next = [next, Some(left.until)].into_iter().flatten().min();
                    self.operator.left_out().add(&self.namespace, candidate, force.digest, left);
                }
                Considered::Begun(again) => return Ok(again),
                Considered::Wait(until) => return Ok(Some(until)),
            }
        }
        Ok(next)
    }

    /// Plans a workload anew that was to be patched and was not; its record goes where it may not be patched any more.
    pub(super) async fn plan_again(
        &mut self,
        record: &Remediation,
    ) -> Result<Option<Timestamp>, ReconcileError> {
        let (Some(kind), true) = (kind_of(record), self.begins()) else {
            return self.drop_record(record).await.map(|()| None);
        };
        let candidate = Candidate { kind, name: record.name.clone(), pods: 0, seen: 0 };
        let force = self.in_force();
        match self.consider(&candidate, &force, &mut None).await? {
            Considered::Begun(again) => Ok(again),
            Considered::Wait(until) => Ok(Some(until)),
            Considered::Left(left) => {
                self.drop_record(record).await?;
                Ok(Some(left.until.min(self.after(TURN))))
            }
        }
    }

    fn in_force(&self) -> InForce {
        let mut all = self.operator.policies_in(&self.namespace);
        all.retain(|policy| policy.uid() != self.policy.uid());
        all.push(self.policy.clone());
        let asking = all.iter().filter(|policy| enforces(self.operator, policy));
        let mut enforcing: Vec<Enforcing> = asking.filter_map(|policy| Enforcing::new(policy).ok()).collect();
        Enforcing::sort(&mut enforcing);
        let mut hasher = DefaultHasher::new();
        for policy in all.iter().filter(|policy| enforces(self.operator, policy)) {
            (policy.uid(), policy.metadata.generation).hash(&mut hasher);
        }
        InForce { all, enforcing, digest: hasher.finish() }
    }

    async fn consider(
        &mut self,
        candidate: &Candidate,
        force: &InForce,
        surroundings: &mut Option<Surroundings>,
    ) -> Result<Considered, ReconcileError> {
        let cluster = &self.operator.cluster;
        let subject =
            match enforcement::fetch(cluster, candidate.kind, &self.namespace, &candidate.name).await {
                Ok(Some(subject)) => subject,
                Ok(None) => return Ok(self.left("Gone", "it is gone".to_owned(), PASSING)),
                Err(error) => return Ok(self.failed(candidate, &error)),
            };
        if surroundings.is_none() {
            match enforcement::surroundings(cluster, &self.namespace).await {
                Ok(found) => *surroundings = Some(found),
                Err(error) => return Ok(self.failed(candidate, &error.into())),
            }
        }
        let Some(around) = surroundings else { return Ok(Considered::Wait(self.poll())) };
        let inquiry = Inquiry {
            policies: &force.all,
            enforcing: &force.enforcing,
            remediation: &self.remediation(),
            surroundings: around,
        };
        let plan = match enforcement::appraise(cluster, &subject, &inquiry, self.now()).await {
            Ok(Appraisal::Ready(plan)) => plan,
            Ok(Appraisal::Left { reason, message, passing, plan }) => {
                let until = self.after(if passing { PASSING } else { STANDING });
                let fix = plan.map(|plan| fix(&subject, &plan));
                return Ok(Considered::Left(LeftOut { reason, message, until, fix }));
            }
            Err(error) => return Ok(self.failed(candidate, &error)),
        };
        if plan.policy != self.policy.name_any() {
            let message = format!("policy {} decides about it", plan.policy);
            return Ok(self.left("OtherPolicy", message, PASSING));
        }
        self.patch(&subject, &plan).await
    }

    /// Reserves a place in the budgets, writes the record down, and sends the patch.
    async fn patch(&mut self, subject: &Subject, plan: &Plan) -> Result<Considered, ReconcileError> {
        let (name, kind) = (self.policy.name_any(), subject.kind().name());
        let request = Request {
            namespace: &self.namespace,
            policy: &name,
            policy_per_hour: self.remediation().max_per_hour,
            kind,
            name: subject.name(),
            uid: subject.uid(),
        };
        match self.operator.reserve(&request).await {
            Ok(Decision::Granted) => {}
            Ok(Decision::Wait { until, reason }) => {
                info!(
                    workload = format!("{kind}/{}", subject.name()),
                    namespace = self.namespace,
                    reason,
                    "waiting"
                );
                return Ok(Considered::Wait(
                    until.unwrap_or_else(|| self.after(TURN)).max(self.after(SignedDuration::from_secs(1))),
                ));
            }
            Err(error) => {
                warn!(%error, "nothing is patched while the budget can't be kept");
                return Ok(Considered::Wait(self.after(PASSING)));
            }
        }
        let fields: Vec<String> = plan.adds.keys().map(ToString::to_string).collect();
        let planned = Remediation {
            kind: kind.to_owned(),
            name: subject.name().to_owned(),
            uid: Some(subject.uid().to_owned()),
            phase: RemediationPhase::Planned,
            template_hash: Some(subject.template_hash()),
            time: None,
            policy_generation: self.policy.metadata.generation,
            reason: None,
            message: None,
            earlier_fields: records::set_so_far(&self.status(), kind, subject.name()),
            fields,
            pods: Some(Progress::of(subject).wanted),
            revision: None,
        };
        let words = format!("to be given {}", planned.fields.join(", "));
        let planned = records::in_phase(&planned, RemediationPhase::Planned, "Planned", &words, self.now());
        self.record(planned.clone()).await?;
        self.operator.left_out().remove(&self.namespace, subject.kind(), subject.name());
        match enforcement::apply(&self.operator.cluster, subject, &plan.document).await {
            Ok(after) => {
                let at = after.owned_since().unwrap_or_else(|| self.now());
                self.applied(&planned, at).await?;
                Ok(Considered::Begun(Some(self.poll())))
            }
            Err(ApplyError::Gone) => {
                self.drop_record(&planned).await?;
                Ok(Considered::Begun(Some(self.poll())))
            }
            Err(error) if error.is_passing() => Ok(Considered::Begun(Some(self.unread(&planned, &error)))),
            Err(error) => {
                self.end(&planned, RemediationPhase::Failed, error.reason(), &error.to_string()).await?;
                Ok(Considered::Begun(Some(self.poll())))
            }
        }
    }

    fn left(&self, reason: &'static str, message: String, pause: SignedDuration) -> Considered {
        Considered::Left(LeftOut { reason, message, until: self.after(pause), fix: None })
    }

    fn failed(&self, candidate: &Candidate, error: &ApplyError) -> Considered {
        self.operator.metrics.errors.with_label_values(&[error.category()]).inc();
        warn!(workload = candidate.name, namespace = self.namespace, %error, "looked at again later");
        self.left(error.reason(), error.to_string(), PASSING)
    }
}

/// Tells whether a policy asks for patches, and may have them.
pub(super) fn enforces(operator: &Operator, policy: &DevOpsPolicy) -> bool {
    policy.spec.enforcement_mode == EnforcementMode::Enforce
        && policy.metadata.deletion_timestamp.is_none()
        && !operator.settings.system.contains(&policy.namespace().unwrap_or_default())
        && !records::is_stopped(policy)
}

fn fix(subject: &Subject, plan: &Plan) -> SuggestedFix {
    SuggestedFix {
        kind: subject.kind().name().to_owned(),
        name: subject.name().to_owned(),
        patch: plan.patch(subject).to_string(),
    }
}
