//! The judgement of a namespace under one policy, by the engine that every report comes from. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::governance::{Analysis, ReportedViolation, Scope, Score};
use crate::policy::{DevOpsPolicySpec, EffectivePolicy, PolicyError};
use crate::rules::PENDING;
use crate::workload::Workload;

/// What a policy says about its namespace.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The pods judged, a template without pods counting as one.
    pub pods: u64,
    /// The health score.
    pub score: Score,
    /// Everything that is wrong, worst first.
    pub violations: Vec<ReportedViolation>,
    /// When the verdict changes although nothing else does: a pod will have been Pending for too long.
    pub next: Option<Timestamp>,
}

/// Judges the pods and workloads of a namespace at the time `now`.
pub fn judge<'a>(
    spec: &DevOpsPolicySpec,
    namespace: &str,
    objects: impl Iterator<Item = &'a Workload<'static>>,
    now: Timestamp,
) -> Result<Verdict, PolicyError> {
    let policy = EffectivePolicy::from_spec(spec)?;
    let scope = Scope { namespaces: vec![namespace.to_owned()], ..Scope::default() };
    let patience = policy.get(PENDING.id).and_then(|_| spec.forbid_pending_duration);
    let mut analysis = Analysis::new(&policy, &scope, now, true);
    let mut next: Option<Timestamp> = None;
    for object in objects {
        analysis.add_workload(object, None);
        if let Some(late) = patience.and_then(|seconds| late_at(object, seconds))
            && late > now
        {
            next = Some(next.map_or(late, |next| next.min(late)));
        }
    }
    let report = analysis.finish();
    Ok(Verdict {
        pods: report.summary.pods,
        score: report.summary.score.unwrap_or(Score::BEST),
        violations: report.violations,
        next,
    })
}

/// When a pod that is Pending will have been so for too long.
fn late_at(pod: &Workload<'_>, seconds: u32) -> Option<Timestamp> {
    let phase = pod.status.as_ref()?.phase.as_deref()?;
    let created = pod.metadata.creation_timestamp.filter(|_| phase == "Pending")?;
    created.checked_add(SignedDuration::from_secs(seconds.into())).ok()
}
