//! The bundles for the Pod Security Standards, made from the rules that stand for upstream's checks.

use serde_json::{Value as Json, json};

use super::EffectivePolicy;
use crate::rules::{RULES, Rule, Value};

/// A level of the Pod Security Standards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandardBundle {
    Baseline,
    Restricted,
}

/// The checks of the level `baseline` that the level `restricted` keeps, by upstream's names.
const BASELINE: [&str; 11] = [
    "pss:appArmorProfile",
    "pss:capabilities_baseline",
    "pss:hostNamespaces",
    "pss:hostPathVolumes",
    "pss:hostPorts",
    "pss:hostProbesAndHostLifecycle",
    "pss:privileged",
    "pss:seLinuxOptions",
    "pss:seccompProfile_baseline",
    "pss:sysctls",
    "pss:windowsHostProcess",
];
/// The checks that only the level `restricted` has.
const RESTRICTED: [&str; 6] = [
    "pss:allowPrivilegeEscalation",
    "pss:capabilities_restricted",
    "pss:restrictedVolumes",
    "pss:runAsNonRoot",
    "pss:runAsUser",
    "pss:seccompProfile_restricted",
];
/// The parameter that tells the two levels apart in the rules that both have.
const USER_NAMESPACE: &str = "allowInUserNamespace";

impl StandardBundle {
    /// Every level.
    pub(super) const ALL: [Self; 2] = [Self::Baseline, Self::Restricted];

    /// The bundle's name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "pss-baseline",
            Self::Restricted => "pss-restricted",
        }
    }

    /// The bundle's description.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Baseline => "The level baseline of the Pod Security Standards, reported only",
            Self::Restricted => "The level restricted of the Pod Security Standards, reported only",
        }
    }

    /// Returns the rules of the level for `analyze`. They have no part in the score.
    pub(super) fn policy(self) -> EffectivePolicy {
        let places = RULES.iter().enumerate().filter(|(_, rule)| self.has(rule)).map(|(place, _)| place);
        EffectivePolicy::unscored(places, |name| {
            (name == USER_NAMESPACE).then(|| Value::Boolean(self == Self::Baseline))
        })
    }

    /// Returns the spec of a policy with the rules of the level.
    pub(super) fn spec(self) -> Json {
        let selection = |rule: &&Rule| {
            if rule.parameters.iter().any(|parameter| parameter.name == USER_NAMESPACE) {
                json!({ "id": rule.id.as_str(), "params": { USER_NAMESPACE: self == Self::Baseline } })
            } else {
                json!({ "id": rule.id.as_str() })
            }
        };
        let rules: Vec<_> = RULES.iter().filter(|rule| self.has(rule)).map(selection).collect();
        json!({ "enforcementMode": "audit", "rules": rules })
    }

    fn has(self, rule: &Rule) -> bool {
        rule.peers.iter().any(|peer| {
            BASELINE.contains(peer)
                || *peer == "pss:procMount"
                || self == Self::Restricted && RESTRICTED.contains(peer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundles_have_every_check_of_their_level() {
        let [baseline, restricted] = StandardBundle::ALL.map(|level| level.policy().rules().len());
        assert_eq!((baseline, restricted), (12, 18));
        for check in BASELINE.iter().chain(&RESTRICTED) {
            assert!(!crate::rules::of_peer(check).is_empty(), "{check}");
        }
    }

    #[test]
    fn the_spec_turns_on_the_same_rules_with_the_same_parameters() {
        for level in StandardBundle::ALL {
            let spec = serde_json::from_value(level.spec()).unwrap();
            let applied = EffectivePolicy::from_spec(&spec).unwrap();
            let analyzed = level.policy();
            assert_eq!(applied.rules().len(), analyzed.rules().len());
            for (one, other) in applied.rules().iter().zip(analyzed.rules()) {
                assert_eq!((one.rule.id, &one.parameters), (other.rule.id, &other.parameters));
            }
        }
    }
}
