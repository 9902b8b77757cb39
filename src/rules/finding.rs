//! The findings of rules, and their collection into violations.

use std::fmt;

use jiff::Timestamp;

use super::{ContainerPlace, RuleId, Severity};

/// One finding of a rule. Its texts are put together only if they are kept.
#[derive(Debug)]
pub struct Finding<'a> {
    /// The container; none for a finding about the whole object.
    pub container: Option<&'a str>,
    /// The amount that it adds to the rule's count.
    pub count: u64,
    /// The path of the field in the object.
    pub path: fmt::Arguments<'a>,
    /// The problem and its remedy.
    pub message: fmt::Arguments<'a>,
}

/// One violation of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The broken rule.
    pub rule: RuleId,
    /// The severity under the policy.
    pub severity: Severity,
    /// The amount that it adds to the rule's count.
    pub count: u64,
    /// The container; none for a finding about the whole object.
    pub container: Option<String>,
    /// The path of the field in the object.
    pub path: String,
    /// The problem and its remedy.
    pub message: String,
    /// The values that are wrong, such as a path or a capability. They are kept on request; a finding without one is
    /// about the container or the object as it is.
    pub values: Vec<String>,
}

/// Collects the findings of all rules in one object.
///
/// Counts are always kept. The violations themselves are kept on request, because their texts are most of the cost of a
/// evaluation.
#[derive(Debug, Default)]
pub struct Violations {
    keep: bool,
    keep_values: bool,
    kept: Vec<Violation>,
    /// The values of the next finding.
    values: Vec<String>,
    current: Option<(RuleId, Severity)>,
    count: u64,
    worst: Option<Severity>,
    recheck_at: Option<Timestamp>,
}

impl Violations {
    /// Starts a collection that keeps the violations, or only counts them.
    pub fn new(keep: bool) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Starts a collection that keeps the violations, each with the values that are wrong.
    pub fn with_values() -> Self {
        Self { keep: true, keep_values: true, ..Self::default() }
    }

    /// Starts the findings of a rule with a count of zero.
    pub fn begin(&mut self, rule: RuleId, severity: Severity) {
        self.current = Some((rule, severity));
        self.count = 0;
        self.worst = None;
    }

    /// Gives the next findings of the current rule a severity, unless the rule's is lower.
    pub fn lower_to(&mut self, most: Severity) {
        self.current = self.current.map(|(rule, severity)| (rule, severity.min(most)));
    }

    /// Adds a finding of the current rule.
    pub fn add(&mut self, finding: &Finding<'_>) {
        self.count += finding.count;
        self.worst = self.worst.max(self.current.map(|(_, severity)| severity));
        if let (true, Some((rule, severity))) = (self.keep, self.current) {
            self.kept.push(Violation {
                rule,
                severity,
                count: finding.count,
                container: finding.container.map(str::to_owned),
                path: fmt::format(finding.path),
                message: fmt::format(finding.message),
                values: std::mem::take(&mut self.values),
            });
        }
    }

    /// Notes a value that is wrong, for the next finding: one that a later version of the object must not add. It names
    /// no place in a list, because that may change.
    pub fn about(&mut self, value: impl fmt::Display) -> &mut Self {
        if self.keep_values {
            self.values.push(value.to_string());
        }
        self
    }

    /// Adds a finding about a field of a container.
    pub fn in_container(
        &mut self,
        place: &ContainerPlace<'_>,
        field: impl fmt::Display,
        message: fmt::Arguments<'_>,
    ) {
        let container = Some(&*place.container.name);
        self.add(&Finding { container, count: 1, path: format_args!("{place}.{field}"), message });
    }

    /// Adds a finding about the object as a whole.
    pub fn in_object(&mut self, path: fmt::Arguments<'_>, message: fmt::Arguments<'_>) {
        self.add(&Finding { container: None, count: 1, path, message });
    }

    /// Notes a time at which the current rule may find more in the same object, because time alone has passed.
    pub fn recheck_at(&mut self, time: Timestamp) {
        self.recheck_at = Some(self.recheck_at.map_or(time, |known| known.min(time)));
    }

    /// The count of the current rule.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The worst severity among the findings of the current rule.
    pub fn worst(&self) -> Option<Severity> {
        self.worst
    }

    /// The earliest time that [`Violations::recheck_at`] noted for any rule.
    pub fn next_check(&self) -> Option<Timestamp> {
        self.recheck_at
    }

    /// The violations that were kept.
    pub fn into_kept(self) -> Vec<Violation> {
        self.kept
    }
}
