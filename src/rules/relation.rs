//! The input of a rule about relations, and its findings in many objects.

use std::fmt;

use jiff::Timestamp;

use super::{Parameters, RuleId, Severity, Violation};
use crate::inventory::{Identity, Inventory};

/// The input of a rule about how objects fit together.
#[derive(Debug)]
pub struct Relations<'a> {
    /// The objects.
    pub inventory: &'a Inventory,
    /// The rule's parameters.
    pub parameters: &'a Parameters,
    /// The time of the evaluation.
    pub now: Timestamp,
}

/// An object with a finding, and the violation if it is kept.
type Found = (Identity, Option<Box<Violation>>);

/// The findings of one rule in many objects. Objects that the user did not ask for have none.
#[derive(Debug)]
pub struct Findings {
    rule: RuleId,
    severity: Severity,
    keep: bool,
    found: Vec<Found>,
    unknown: u64,
    recheck_at: Option<Timestamp>,
}

impl Findings {
    /// Starts the findings of a rule. Violations are kept, or only counted.
    pub fn new(rule: RuleId, severity: Severity, keep: bool) -> Self {
        Self { rule, severity, keep, found: Vec::new(), unknown: 0, recheck_at: None }
    }

    /// Adds a finding about an object.
    pub fn report(&mut self, object: &Identity, path: fmt::Arguments<'_>, message: fmt::Arguments<'_>) {
        if object.is_asked {
            let violation = self.keep.then(|| {
                Box::new(Violation {
                    rule: self.rule,
                    severity: self.severity,
                    count: 1,
                    container: None,
                    path: path.to_string(),
                    message: message.to_string(),
                    values: Vec::new(),
                })
            });
            self.found.push((object.clone(), violation));
        }
    }

    /// Notes that the input does not tell if an object breaks the rule.
    pub fn unknown(&mut self, object: &Identity) {
        self.unknown += u64::from(object.is_asked);
    }

    /// Notes that the input does not tell if a number of objects break the rule. The user asked for all of them.
    pub fn unknown_in(&mut self, objects: u64) {
        self.unknown += objects;
    }

    /// Notes a time at which the rule may find more in the same objects, because time alone has passed.
    pub fn recheck_at(&mut self, time: Timestamp) {
        self.recheck_at = Some(self.recheck_at.map_or(time, |known| known.min(time)));
    }

    /// The earliest time that [`Findings::recheck_at`] noted.
    pub fn next_check(&self) -> Option<Timestamp> {
        self.recheck_at
    }

    /// The objects with a finding, each with the violation if it was kept.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// The number of objects with an unknown answer.
    pub fn unknown_count(&self) -> u64 {
        self.unknown
    }
}
