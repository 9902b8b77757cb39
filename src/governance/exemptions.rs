//! Exemptions: findings in some paths that a project accepts for a reason, and maybe for a time.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::paths::PathPatterns;
use crate::policy::EffectivePolicy;
use crate::rules::RuleId;
use crate::workload::count;

/// An exemption.
#[derive(Debug, Clone)]
pub struct Exemption {
    /// The patterns of the paths, as the user wrote them.
    pub patterns: String,
    /// The paths.
    pub paths: PathPatterns,
    /// The rules; `None` for all.
    pub rules: Option<BTreeSet<RuleId>>,
    /// The reason.
    pub reason: String,
    /// The last day, in UTC; `None` for an exemption without an end.
    pub expires: Option<Date>,
}

impl Exemption {
    fn has(&self, rule: RuleId) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.contains(&rule))
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|last| TimeZone::UTC.to_datetime(now).date() > last)
    }
}

/// All exemptions of a project.
#[derive(Debug, Clone, Default)]
pub struct Exemptions(Vec<Exemption>);

/// The rules that are left in a file, and for each exemption those that it takes away.
pub(super) struct Split {
    pub(super) left: EffectivePolicy,
    pub(super) exempt: Vec<(usize, EffectivePolicy)>,
}

impl Exemptions {
    /// Makes a list of exemptions. Of several that match, the first one counts.
    pub fn new(exemptions: Vec<Exemption>) -> Self {
        Self(exemptions)
    }

    /// Splits the rules of a policy for a file; `None` if nothing in it is exempt.
    pub(super) fn split(&self, policy: &EffectivePolicy, source: &str, now: Timestamp) -> Option<Split> {
        let mut split: Option<Split> = None;
        for (index, exemption) in self.0.iter().enumerate() {
            if exemption.is_over(now) || !exemption.paths.has(Path::new(source)) {
                continue;
            }
            let split = split.get_or_insert_with(|| Split { left: policy.clone(), exempt: Vec::new() });
            let exempt = split.left.filtered(|rule| exemption.has(rule));
            split.left = split.left.filtered(|rule| !exemption.has(rule));
            split.exempt.push((index, exempt));
        }
        split
    }

    /// Returns the place of the exemption that accepts a rule's findings in a file, if there is one.
    pub(super) fn of(&self, rule: RuleId, source: &str, now: Timestamp) -> Option<usize> {
        let accepts = |exemption: &Exemption| {
            exemption.has(rule) && !exemption.is_over(now) && exemption.paths.has(Path::new(source))
        };
        self.0.iter().position(accepts)
    }

    /// Returns the exemptions with the numbers of their findings, by place.
    pub(super) fn report(&self, found: &[u64], now: Timestamp) -> Vec<ExemptFindings> {
        let exempt = self.0.iter().enumerate().map(|(index, exemption)| ExemptFindings {
            paths: exemption.patterns.clone(),
            rules: exemption.rules.iter().flatten().copied().collect(),
            reason: exemption.reason.clone(),
            expires: exemption.expires,
            expired: exemption.is_over(now),
            count: found.get(index).copied().unwrap_or_default(),
        });
        exempt.collect()
    }
}

/// The findings that an exemption accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExemptFindings {
    /// The patterns of the paths.
    pub paths: String,
    /// The rules; empty for all.
    pub rules: Vec<RuleId>,
    /// The reason.
    pub reason: String,
    /// The last day, in UTC; `None` for an exemption without an end.
    pub expires: Option<Date>,
    /// True if the exemption is over, so that the findings count.
    pub expired: bool,
    /// The number of findings.
    pub count: u64,
}

impl ExemptFindings {
    /// Returns true if a reader should know: the exemption is over, or it accepted findings.
    pub fn matters(&self) -> bool {
        self.expired || self.count > 0
    }
}

impl fmt::Display for ExemptFindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { paths, rules, reason, expires, expired, count: found } = self;
        let rules: Vec<&str> = rules.iter().map(|rule| rule.as_str()).collect();
        let rules = if rules.is_empty() { "all rules".to_owned() } else { rules.join(", ") };
        if let (true, Some(last)) = (*expired, expires) {
            return write!(
                f,
                "the exemption of {rules} in {paths} ended with {last}, so its findings count ({reason})"
            );
        }
        let until = expires.map_or(String::new(), |last| format!(" until {last}"));
        let are = if *found == 1 { "is" } else { "are" };
        write!(
            f,
            "{} {are} exempt, of {rules} in {paths}{until} ({reason})",
            count(*found, "finding", "findings")
        )
    }
}
