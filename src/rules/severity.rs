//! The severities of violations.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The severity of a violation, from low to critical.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
// A description of the type would replace the description of each field of this type.
#[schemars(description = "")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth fixing soon.
    Medium,
    /// Worth fixing now.
    High,
    /// Something is failing.
    Critical,
}

impl Severity {
    /// Every severity, from low to critical.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The penalty points of each count of a rule without a weight of its own.
    pub fn points(self) -> u64 {
        match self {
            Self::Critical => 6,
            Self::High => 5,
            Self::Medium => 3,
            Self::Low => 2,
        }
    }

    /// The severity's name, as it is written in policies and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(text: &str) -> Result<Self, UnknownSeverity> {
        let named = |severity: &Self| severity.as_str().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or(UnknownSeverity)
    }
}

/// The text is not the name of a severity.
#[derive(Debug, thiserror::Error)]
#[error("a severity is one of critical, high, medium and low")]
pub struct UnknownSeverity;
