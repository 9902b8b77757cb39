//! Bundles of rules that stand for a published standard.

use super::EffectivePolicy;
use crate::rules::{RULES, Rule, Value};

/// A bundle of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bundle {
    /// The level `baseline` of the Pod Security Standards.
    PssBaseline,
    /// The level `restricted` of the Pod Security Standards.
    PssRestricted,
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

impl Bundle {
    /// Every bundle.
    pub const ALL: [Self; 2] = [Self::PssBaseline, Self::PssRestricted];

    /// The bundle's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PssBaseline => "pss-baseline",
            Self::PssRestricted => "pss-restricted",
        }
    }

    /// Returns the rules of the bundle. They have no part in the score.
    pub fn policy(self) -> EffectivePolicy {
        let is_restricted = self == Self::PssRestricted;
        let has = |rule: &Rule| {
            rule.peers.iter().any(|peer| {
                BASELINE.contains(peer)
                    || *peer == "pss:procMount"
                    || is_restricted && RESTRICTED.contains(peer)
            })
        };
        let places = RULES.iter().enumerate().filter(|(_, rule)| has(rule)).map(|(place, _)| place);
        EffectivePolicy::unscored(places, |name| {
            (name == "allowInUserNamespace").then_some(Value::Boolean(!is_restricted))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundles_have_every_check_of_their_level() {
        let [baseline, restricted] = Bundle::ALL.map(|bundle| bundle.policy().rules().len());
        assert_eq!((baseline, restricted), (12, 18));
        for check in BASELINE.iter().chain(&RESTRICTED) {
            assert!(!crate::rules::of_peer(check).is_empty(), "{check}");
        }
    }
}
