//! The fields of a `PodDisruptionBudget` that rules read.

use std::fmt;

use serde::Deserialize;

use super::read::selector;
use crate::workload::{LabelSelector, nullable};

/// A `PodDisruptionBudget`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct DisruptionBudget {
    pub min_available: Option<Amount>,
    pub max_unavailable: Option<Amount>,
    /// An absent selector matches nothing.
    #[serde(default, deserialize_with = "selector")]
    pub selector: Option<LabelSelector<'static>>,
    #[serde(default, deserialize_with = "nullable")]
    pub unhealthy_pod_eviction_policy: String,
}

/// A number of pods, or a share of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// A number of pods.
    Number(i64),
    /// A percentage, such as `50%`.
    Text(String),
}

impl Amount {
    /// Returns the percentage; `None` for a number.
    pub fn percent(&self) -> Option<i64> {
        match self {
            Self::Number(_) => None,
            Self::Text(text) => text.strip_suffix('%')?.parse().ok(),
        }
    }

    /// Returns the amount out of a number of pods, rounded up as the disruption controller does; `None` for a text
    /// that the API server refuses.
    pub fn of(&self, pods: i64) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => Some(self.percent()?.saturating_mul(pods).saturating_add(99) / 100),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_pods_is_rounded_up() {
        let text = |text: &str| Amount::Text(text.to_owned());
        for (amount, pods, expected) in [
            (text("50%"), 1, Some(1)),
            (text("34%"), 3, Some(2)),
            (text("0%"), 3, Some(0)),
            (text("100%"), 7, Some(7)),
            (Amount::Number(2), 1, Some(2)),
            (text("half"), 2, None),
        ] {
            assert_eq!(amount.of(pods), expected, "{amount} of {pods}");
        }
    }
}
