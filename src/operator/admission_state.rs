//! The state of native admission in a namespace, as a policy's condition shows it. Pure.

use jiff::Timestamp;

use crate::policy::{AdmissionVerdict, ConditionReason, VerdictPart};
use crate::rules::RuleId;

/// The state of native admission in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdmissionState {
    /// The operator runs without native admission.
    Off,
    /// The API server lacks the admission policies, for this reason.
    NotInstalled(String),
    /// The verdict is not on the Namespace yet.
    Pending,
    /// The verdict could not be written, for this reason.
    Failed(String),
    /// Denials are suspended until this time.
    Suspended(AdmissionVerdict, Timestamp),
    /// The API server evaluates objects by this verdict.
    Held(AdmissionVerdict),
}

impl AdmissionState {
    /// Returns status, reason and message of the condition `Admission` of a policy; `None` without native admission.
    pub(super) fn condition(&self, policy: &str) -> Option<(bool, ConditionReason, String)> {
        Some(match self {
            Self::Off => return None,
            Self::NotInstalled(why) => (false, ConditionReason::NotInstalled, why.clone()),
            Self::Pending => (
                false,
                ConditionReason::Pending,
                "the verdict is not written on the Namespace yet".to_owned(),
            ),
            Self::Failed(why) => (
                false,
                ConditionReason::NotWritten,
                format!("cannot write the verdict on the Namespace: {why}"),
            ),
            Self::Suspended(verdict, until) => (
                false,
                ConditionReason::BreakGlass,
                format!("denials are suspended until {until}; {}", summary(verdict, policy)),
            ),
            Self::Held(verdict) => (true, ConditionReason::Native, summary(verdict, policy)),
        })
    }
}

/// Lists the rules of a policy that deny, that warn, and that native admission leaves out.
fn summary(verdict: &AdmissionVerdict, policy: &str) -> String {
    let of = |rules: &[crate::policy::VerdictRule]| {
        // A rule that denies also warns about dropped defaults, which goes without saying.
        let rules = rules.iter().filter(|entry| entry.part != VerdictPart::OnlyDropped);
        let rules = rules.filter(|entry| entry.policies.contains(policy));
        list(rules.map(|entry| entry.rule))
    };
    let mut parts = Vec::new();
    parts.extend(of(&verdict.denied).map(|rules| format!("denies: {rules}")));
    parts.extend(of(&verdict.warned).map(|rules| format!("warns about: {rules}")));
    let mut reasons: Vec<_> = verdict
        .left_out
        .iter()
        .filter(|left_out| left_out.policy == policy)
        .map(|left_out| left_out.reason)
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    for reason in reasons {
        let same =
            verdict.left_out.iter().filter(|left_out| left_out.policy == policy && left_out.reason == reason);
        let rules = list(same.map(|left_out| left_out.rule)).unwrap_or_default();
        parts.push(format!("not evaluated natively: {rules} ({})", reason.as_str()));
    }
    if parts.is_empty() { "the policy turns on no rule of its own".to_owned() } else { parts.join("; ") }
}

fn list(rules: impl Iterator<Item = RuleId>) -> Option<String> {
    let rules: Vec<_> = rules.map(RuleId::as_str).collect();
    (!rules.is_empty()).then(|| rules.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::{CompiledPolicy, DevOpsPolicy};

    #[test]
    fn the_condition_names_the_rules_of_its_own_policy() {
        let policy = |name: &str, spec: serde_json::Value| {
            let policy = json!({ "metadata": { "name": name, "namespace": "shop" }, "spec": spec });
            CompiledPolicy::new(serde_json::from_value::<DevOpsPolicy>(policy).unwrap())
        };
        let verdict = AdmissionVerdict::of(&[
            policy(
                "a",
                json!({
                    "enforcementMode": "enforce", "admission": { "denyAt": "high" }, "forbidLatestTag": true,
                    "requireLivenessProbe": true, "maxRestartCount": 3,
                }),
            ),
            policy("b", json!({ "requireReadinessProbe": true })),
        ])
        .unwrap();
        let (status, reason, message) = AdmissionState::Held(verdict.clone()).condition("a").unwrap();
        assert_eq!((status, reason), (true, ConditionReason::Native));
        assert_eq!(
            message,
            "denies: latest-tag; warns about: missing-liveness; not evaluated natively: high-restarts (CEL can't express \
             the rule)"
        );
        let (_, _, message) = AdmissionState::Held(verdict.clone()).condition("b").unwrap();
        assert_eq!(message, "warns about: missing-readiness");
        let suspended = AdmissionState::Suspended(verdict.suspended(), Timestamp::UNIX_EPOCH);
        let (status, reason, message) = suspended.condition("a").unwrap();
        assert_eq!((status, reason), (false, ConditionReason::BreakGlass));
        assert!(
            message.starts_with("denials are suspended until 1970-01-01T00:00:00Z; warns about: "),
            "{message}"
        );
        assert_eq!(AdmissionState::Off.condition("a"), None);
    }
}
