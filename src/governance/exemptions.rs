//! Exemptions: findings that somebody accepts for a reason, and maybe for a time. A project names paths, and annotations
//! name the object that they stand on.

use std::collections::{BTreeMap, BTreeSet};
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption {
    /// The objects that it is about.
    pub place: ExemptionPlace,
    /// The rules; `None` for all.
    pub rules: Option<BTreeSet<RuleId>>,
    /// The reason.
    pub reason: String,
    /// The last day, in UTC; `None` for an exemption without an end.
    pub expires: Option<Date>,
}

/// The objects that an exemption is about.
#[derive(Debug, Clone)]
pub enum ExemptionPlace {
    /// The objects in some files.
    Paths {
        /// The patterns of the paths, as the user wrote them.
        patterns: String,
        /// The paths.
        paths: PathPatterns,
    },
    /// The object with the annotation, as `Namespace/name` or `namespace/Kind/name`.
    Object(String),
}

impl ExemptionPlace {
    /// Returns the patterns of the paths, or the object.
    fn text(&self) -> &str {
        match self {
            Self::Paths { patterns, .. } => patterns,
            Self::Object(object) => object,
        }
    }
}

impl PartialEq for ExemptionPlace {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.text() == other.text()
    }
}

impl Eq for ExemptionPlace {}

impl Exemption {
    /// Returns true if it is about a rule, over or not.
    pub fn has(&self, rule: RuleId) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.contains(&rule))
    }

    /// Returns true if its last day has passed.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|last| TimeZone::UTC.to_datetime(now).date() > last)
    }

    /// Returns the time at which it ends; `None` without an end, and after it.
    pub fn end(&self, now: Timestamp) -> Option<Timestamp> {
        let midnight = self.expires?.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
        (midnight > now).then_some(midnight)
    }

    /// Returns the object with the annotation; empty for an exemption of a project.
    pub(super) fn object(&self) -> String {
        match &self.place {
            ExemptionPlace::Object(object) => object.clone(),
            ExemptionPlace::Paths { .. } => String::new(),
        }
    }

    fn is_of(&self, source: &str) -> bool {
        matches!(&self.place, ExemptionPlace::Paths { paths, .. } if paths.has(Path::new(source)))
    }

    /// Returns it with the number of its findings.
    pub(super) fn with_count(&self, count: u64, now: Timestamp) -> ExemptFindings {
        let (paths, object) = match &self.place {
            ExemptionPlace::Paths { patterns, .. } => (Some(patterns.clone()), None),
            ExemptionPlace::Object(object) => (None, Some(object.clone())),
        };
        ExemptFindings {
            paths,
            object,
            rules: self.rules.iter().flatten().copied().collect(),
            reason: self.reason.clone(),
            expires: self.expires,
            expired: self.is_over(now),
            count,
            by_rule: BTreeMap::new(),
        }
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
    /// Makes a list of exemptions. The first one that matches counts.
    pub fn new(exemptions: Vec<Exemption>) -> Self {
        Self(exemptions)
    }

    /// Splits the rules of a policy for a file; `None` if nothing in it is exempt.
    pub(super) fn split(&self, policy: &EffectivePolicy, source: &str, now: Timestamp) -> Option<Split> {
        let mut split: Option<Split> = None;
        for (index, exemption) in self.0.iter().enumerate() {
            if exemption.is_over(now) || !exemption.is_of(source) {
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
        let accepts =
            |exemption: &Exemption| exemption.has(rule) && !exemption.is_over(now) && exemption.is_of(source);
        self.0.iter().position(accepts)
    }

    /// Returns the exemptions with the numbers of their findings, by place.
    pub(super) fn report(&self, found: &[u64], now: Timestamp) -> Vec<ExemptFindings> {
        let count = |index: usize| found.get(index).copied().unwrap_or_default();
        self.0.iter().enumerate().map(|(index, exemption)| exemption.with_count(count(index), now)).collect()
    }
}

/// The findings that an exemption accepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ExemptFindings {
    /// The patterns of the paths, if it is an exemption of a project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<String>,
    /// The object with the annotation, as `Namespace/name` or `namespace/Kind/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
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
    /// The number of findings of each rule, if it is an exemption of an annotation.
    #[serde(skip)]
    pub by_rule: BTreeMap<RuleId, u64>,
}

impl ExemptFindings {
    /// Returns true if a reader should know: the exemption is over, or it accepted findings.
    pub fn matters(&self) -> bool {
        self.expired || self.count > 0
    }
}

impl fmt::Display for ExemptFindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { paths, object, rules, reason, expires, expired, count: found, .. } = self;
        let place = paths.as_ref().or(object.as_ref()).map_or("", String::as_str);
        let rules: Vec<&str> = rules.iter().map(|rule| rule.as_str()).collect();
        let rules = if rules.is_empty() { "all rules".to_owned() } else { rules.join(", ") };
        if let (true, Some(last)) = (*expired, expires) {
            return write!(
                f,
                "the exemption of {rules} in {place} ended with {last}, so its findings count ({reason})"
            );
        }
        let until = expires.map_or(String::new(), |last| format!(" until {last}"));
        let are = if *found == 1 { "is" } else { "are" };
        write!(
            f,
            "{} {are} exempt, of {rules} in {place}{until} ({reason})",
            count(*found, "finding", "findings")
        )
    }
}
