//! The findings of rules, and their collection into violations.

use std::fmt::{self, Write as _};

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

/// One violation of one object, with borrowed texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViolationRef<'v> {
    /// The broken rule.
    pub rule: RuleId,
    /// The severity under the policy.
    pub severity: Severity,
    /// The amount that it adds to the rule's count.
    pub count: u64,
    /// The container; none for a finding about the whole object.
    pub container: Option<&'v str>,
    /// The path of the field in the object.
    pub path: &'v str,
    /// The problem and its remedy.
    pub message: &'v str,
}

impl<'v> From<&'v Violation> for ViolationRef<'v> {
    fn from(violation: &'v Violation) -> Self {
        let Violation { rule, severity, count, container, path, message, values: _ } = violation;
        Self {
            rule: *rule,
            severity: *severity,
            count: *count,
            container: container.as_deref(),
            path,
            message,
        }
    }
}

/// Collects the findings of all rules in one object.
///
/// Counts are always kept. The violations themselves are kept on request, because their texts are most of the cost of an
/// evaluation.
#[derive(Debug, Default)]
pub struct Violations {
    keep: bool,
    keep_values: bool,
    kept: Vec<Kept>,
    /// The texts of the violations, one behind the other, so that most of them need no memory of their own.
    text: String,
    /// The values of the next finding.
    values: Vec<String>,
    current: Option<(RuleId, Severity)>,
    count: u64,
    worst: Option<Severity>,
    recheck_at: Option<Timestamp>,
}

/// A violation whose texts are in the text of the collection.
#[derive(Debug)]
struct Kept {
    rule: RuleId,
    severity: Severity,
    count: u64,
    /// The offset of the container's name, if there is one; it ends at `path`.
    container: Option<usize>,
    /// The offset of the path, which ends at `message`.
    path: usize,
    message: usize,
    /// The end of the message.
    end: usize,
    values: Vec<String>,
}

impl Violations {
    /// Starts a collection that keeps the violations, or only counts them.
    pub fn new(keep: bool) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Forgets all findings, and keeps the memory for others.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.text.clear();
        self.recheck_at = None;
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
            let text = &mut self.text;
            let start = text.len();
            text.push_str(finding.container.unwrap_or_default());
            let path = text.len();
            // Writing to memory can't fail.
            let _ = text.write_fmt(finding.path);
            let message = text.len();
            let _ = text.write_fmt(finding.message);
            let (container, end) = (finding.container.map(|_| start), text.len());
            let (count, values) = (finding.count, std::mem::take(&mut self.values));
            self.kept.push(Kept { rule, severity, count, container, path, message, end, values });
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

    /// Iterates over the violations that were kept.
    pub fn kept(&self) -> impl Iterator<Item = ViolationRef<'_>> + Clone {
        self.kept.iter().map(|kept| {
            let text = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
            ViolationRef {
                rule: kept.rule,
                severity: kept.severity,
                count: kept.count,
                container: kept.container.map(|start| text(start, kept.path)),
                path: text(kept.path, kept.message),
                message: text(kept.message, kept.end),
            }
        })
    }

    /// The violations that were kept.
    pub fn into_kept(mut self) -> Vec<Violation> {
        let values = self.kept.iter_mut().map(|kept| std::mem::take(&mut kept.values));
        let values: Vec<_> = values.collect();
        let kept = self.kept().zip(values).map(|(violation, values)| {
            let ViolationRef { rule, severity, count, container, path, message } = violation;
            let (container, path) = (container.map(str::to_owned), path.to_owned());
            Violation { rule, severity, count, container, path, message: message.to_owned(), values }
        });
        kept.collect()
    }
}
