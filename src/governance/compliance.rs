//! Compliance: the share of workloads without a violation that matters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rules::Severity;

/// Evaluated workloads, and the number of compliant ones: those without a violation of medium severity or worse.
///
/// A Deployment with five pods is one workload. It is compliant if all of its pods are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compliance {
    /// The evaluated workloads.
    pub workloads: u64,
    /// The compliant ones among them.
    pub compliant: u64,
}

impl Compliance {
    /// The least severity that makes a workload non-compliant.
    pub const THRESHOLD: Severity = Severity::Medium;

    /// Adds a workload.
    pub fn add(&mut self, is_compliant: bool) {
        self.workloads += 1;
        self.compliant += u64::from(is_compliant);
    }

    /// Adds other workloads.
    pub fn merge(&mut self, other: Self) {
        self.workloads += other.workloads;
        self.compliant += other.compliant;
    }

    /// Returns the share of compliant workloads, truncated to a tenth of a percent; 100 % without any workload.
    pub fn percent(self) -> Percent {
        let all = u128::from(self.workloads);
        let tenths = (u128::from(self.compliant) * 1000).checked_div(all).unwrap_or(1000);
        Percent(u16::try_from(tenths).unwrap_or(Percent::ALL.0))
    }

    /// Returns the share of compliant workloads, from 0 to 1; 1 without any workload.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^52 workloads")]
    pub fn ratio(self) -> f64 {
        if self.workloads == 0 { 1.0 } else { self.compliant as f64 / self.workloads as f64 }
    }
}

/// A percentage from 0 to 100, in tenths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u16);

impl Percent {
    /// 100 %.
    pub const ALL: Self = Self(1000);
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}%", self.0 / 10, self.0 % 10))
    }
}

impl Serialize for Percent {
    /// Writes a number from 0 to 100.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 10.0)
    }
}

impl<'de> Deserialize<'de> for Percent {
    /// Reads a number from 0 to 100, or a text such as `99.5%`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is no percentage.
#[derive(Debug, thiserror::Error)]
#[error("give a percentage from 0 to 100 with at most one decimal, such as 95 or 99.5")]
pub struct PercentError;

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, PercentError> {
        let text = text.strip_suffix('%').unwrap_or(text);
        let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
        let number = |digits: &str, most: usize| {
            let is_number =
                (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|_| is_number).ok_or(PercentError)
        };
        let percent = Self(number(whole, 3)? * 10 + number(tenth, 1)?);
        if percent <= Self::ALL { Ok(percent) } else { Err(PercentError) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn percent(compliant: u64, workloads: u64) -> String {
        Compliance { workloads, compliant }.percent().to_string()
    }

    #[test]
    fn a_percentage_is_truncated_to_tenths() {
        assert_eq!(percent(2, 3), "66.6%");
        assert_eq!(percent(9_999, 10_000), "99.9%", "100 means that nothing is wrong");
        assert_eq!(
            (percent(0, 7), percent(7, 7), percent(0, 0)),
            ("0.0%".into(), "100.0%".into(), "100.0%".into())
        );
        assert_eq!(percent(u64::MAX, u64::MAX), "100.0%");
    }

    #[test]
    fn percentages_are_parsed_as_people_write_them() {
        for (text, tenths) in
            [("0", 0), ("95", 950), ("99.5", 995), ("100", 1000), ("100.0", 1000), ("80%", 800)]
        {
            assert_eq!(text.parse::<Percent>().unwrap().0, tenths, "{text}");
        }
        for text in ["", "-1", "101", "100.1", "99.55", ".5", "5.", "a", "+5", "1e1", "0.95.1"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }

    #[test]
    fn json_has_the_figure_of_the_text() {
        let json = serde_json::to_string(&Compliance { workloads: 3, compliant: 2 }.percent()).unwrap();
        assert_eq!(json, "66.6");
    }

    proptest! {
        #[test]
        fn only_full_compliance_reaches_100(workloads in 1..u64::MAX, missing in 0..1000_u64) {
            let compliance = Compliance { workloads, compliant: workloads.saturating_sub(missing) };
            prop_assert_eq!(compliance.percent() == Percent::ALL, compliance.compliant == workloads);
        }
    }
}
