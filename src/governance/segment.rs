//! A stretch of stored violations: each text once, and rows of numbers.

use std::fmt::Write as _;
use std::hash::BuildHasher as _;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::rules::{RuleId, Severity, ViolationRef, at, place};
use crate::workload::Owner;

/// The place of a text in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TextId(u32);

impl TextId {
    /// Stands for a text that is not there.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// An object with violations.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredObject {
    pub(super) namespace: TextId,
    pub(super) name: TextId,
    pub(super) owner: TextId,
    pub(super) source: TextId,
    /// The place of its first violation; the others follow.
    pub(super) first: u32,
    /// A bit for each severity among its violations.
    pub(super) severities: u8,
    pub(super) kind: TextId,
    /// True unless a pod of the workload replaces the violations.
    pub(super) is_certain: bool,
}

impl StoredObject {
    /// Stands for an object that is not there.
    pub(super) const NONE: Self = Self {
        namespace: TextId::NONE,
        name: TextId::NONE,
        owner: TextId::NONE,
        source: TextId::NONE,
        first: 0,
        severities: 0,
        kind: TextId::NONE,
        is_certain: false,
    };
}

/// A violation of an object.
#[derive(Debug)]
pub(super) struct StoredViolation {
    pub(super) finding: FindingId,
    pub(super) line: StoredLine,
}

/// The place of a finding in a segment, and its severity in the two highest bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct FindingId(u32);

impl FindingId {
    /// The number of bits below those of the severity.
    const BITS: u32 = 30;

    fn new(place: usize, severity: Severity) -> Self {
        Self(narrow(place) | u32::from(severity as u8) << Self::BITS)
    }

    fn place(self) -> usize {
        (self.0 & ((1 << Self::BITS) - 1)) as usize
    }

    /// Returns true if the finding has this severity.
    pub(super) fn is_of(self, severity: Severity) -> bool {
        self.0 >> Self::BITS == u32::from(severity as u8)
    }
}

/// Everything about a violation except its place. Many objects share one.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) container: TextId,
    pub(super) path: TextId,
    pub(super) message: TextId,
    /// The place of the rule in the registry.
    pub(super) rule: u16,
    pub(super) severity: Severity,
    /// The amount that it adds to the rule's count.
    pub(super) count: u8,
}

/// The line of a violation, from 1; 0 for a live object.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredLine(u32);

impl StoredLine {
    /// The line of an object that is in no file.
    pub(super) const NONE: Self = Self(0);
    /// The bit of a line that is still that of the object.
    const OF_OBJECT: u32 = 1 << 31;

    /// The line of the field.
    pub(super) fn of_field(line: usize) -> Self {
        Self(narrow(line) & !Self::OF_OBJECT)
    }

    /// The first line of the object, until that of the field is known.
    pub(super) fn of_object(line: usize) -> Self {
        Self(narrow(line) | Self::OF_OBJECT)
    }

    /// Returns the number.
    pub(super) fn number(self) -> u32 {
        self.0 & !Self::OF_OBJECT
    }

    /// Returns true if only the line of the object is known.
    pub(super) fn is_of_object(self) -> bool {
        self.0 & Self::OF_OBJECT != 0
    }
}

/// Objects with their violations, and the texts of both.
#[derive(Debug, Default)]
pub(super) struct Segment {
    text: String,
    /// The end of each text; it begins where the one before it ends.
    ends: Vec<u32>,
    findings: Vec<Finding>,
    objects: Vec<StoredObject>,
    violations: Vec<StoredViolation>,
}

impl Segment {
    /// Returns the finding of a violation.
    pub(super) fn finding(&self, violation: &StoredViolation) -> Option<&Finding> {
        self.findings.get(violation.finding.place())
    }

    /// Returns the violation at a place.
    pub(super) fn violation(&self, place: u32) -> Option<&StoredViolation> {
        self.violations.get(place as usize)
    }

    fn key(&self, id: FindingId) -> Option<FindingKey<'_>> {
        let Finding { container, path, message, rule, severity, count } = *self.findings.get(id.place())?;
        Some(FindingKey {
            container: self.text(container),
            path: self.required(path),
            message: self.required(message),
            rule: at(usize::from(rule))?.id,
            severity,
            count,
        })
    }

    /// Returns a text; `None` if it is not there.
    pub(super) fn text(&self, TextId(id): TextId) -> Option<&str> {
        let id = id as usize;
        let end = *self.ends.get(id)?;
        let start = if id == 0 { 0 } else { *self.ends.get(id - 1)? };
        self.text.get(start as usize..end as usize)
    }

    /// Returns a text that is there.
    pub(super) fn required(&self, id: TextId) -> &str {
        self.text(id).unwrap_or_default()
    }

    /// Returns the objects.
    pub(super) fn objects(&self) -> &[StoredObject] {
        &self.objects
    }

    /// Removes the violations at places, which are sorted. Objects without a violation stay.
    pub(super) fn remove(&mut self, places: &[u32]) {
        let removed_before = |place: u32| places.partition_point(|removed| *removed < place);
        for object in &mut self.objects {
            object.first -= narrow(removed_before(object.first));
        }
        let mut place = 0;
        self.violations.retain(|_| {
            place += 1;
            places.binary_search(&(place - 1)).is_err()
        });
    }

    /// Replaces the message of the violation at a place.
    pub(super) fn set_message(&mut self, place: u32, message: &str) {
        let Some(violation) = self.violations.get_mut(place as usize) else { return };
        let Some(finding) = self.findings.get(violation.finding.place()) else { return };
        let finding = Finding { message: TextId(narrow(self.ends.len())), ..finding.clone() };
        violation.finding = FindingId::new(self.findings.len(), finding.severity);
        self.findings.push(finding);
        self.text.push_str(message);
        self.ends.push(narrow(self.text.len()));
    }

    /// Sets the line of the field of the violation at a place.
    pub(super) fn set_line(&mut self, place: u32, line: usize) {
        if let Some(violation) = self.violations.get_mut(place as usize) {
            violation.line = StoredLine::of_field(line);
        }
    }

    /// Returns the places of the violations of the object at an index.
    pub(super) fn places_of(&self, object: usize) -> Range<u32> {
        let first = |object: &StoredObject| object.first;
        let start = self.objects.get(object).map_or(0, first);
        let end = self.objects.get(object + 1).map_or(narrow(self.violations.len()), first);
        start..end
    }
}

/// The content of a finding, by which equal ones are found.
#[derive(PartialEq, Eq)]
struct FindingKey<'t> {
    container: Option<&'t str>,
    path: &'t str,
    message: &'t str,
    rule: RuleId,
    severity: Severity,
    count: u8,
}

impl<'t> FindingKey<'t> {
    fn of(violation: &ViolationRef<'t>) -> Self {
        Self {
            container: violation.container,
            path: violation.path,
            message: violation.message,
            rule: violation.rule,
            severity: violation.severity,
            count: u8::try_from(violation.count).unwrap_or(u8::MAX),
        }
    }

    /// Returns what is hashed. Findings with equal texts are rarely of different rules.
    fn texts(&self) -> (Option<&'t str>, &'t str, &'t str) {
        (self.container, self.path, self.message)
    }
}

/// A segment that is being filled.
#[derive(Debug, Default)]
pub(super) struct OpenSegment {
    segment: Segment,
    /// The texts that are stored, found by their hash. The texts themselves are only in the segment.
    ids: HashTable<TextId>,
    /// The findings that are stored, found by their hash.
    findings: HashTable<FindingId>,
    hasher: DefaultHashBuilder,
    /// Room for the text of an owner.
    owner: String,
}

impl OpenSegment {
    /// Stores a text, unless it is there already.
    pub(super) fn text(&mut self, text: &str) -> TextId {
        let Self { segment, ids, hasher, .. } = self;
        let hash = hasher.hash_one(text);
        if let Some(id) = ids.find(hash, |id| segment.required(*id) == text) {
            return *id;
        }
        let id = TextId(narrow(segment.ends.len()));
        segment.text.push_str(text);
        segment.ends.push(narrow(segment.text.len()));
        ids.insert_unique(hash, id, |id| hasher.hash_one(segment.required(*id)));
        id
    }

    /// Stores a text, which may well be the one at a place.
    pub(super) fn text_like(&mut self, like: TextId, text: &str) -> TextId {
        if self.segment.text(like) == Some(text) { like } else { self.text(text) }
    }

    /// Stores an owner as `Kind/name`, which may well be the text at a place.
    pub(super) fn owner_like(&mut self, like: TextId, owner: Owner<'_>) -> TextId {
        let mut text = std::mem::take(&mut self.owner);
        text.clear();
        // Writing to memory can't fail.
        let _ = write!(text, "{owner}");
        let id = self.text_like(like, &text);
        self.owner = text;
        id
    }

    /// Stores a finding, which may well be that of the violation at a place.
    pub(super) fn finding_like(&mut self, like: u32, violation: &ViolationRef<'_>) -> FindingId {
        let key = FindingKey::of(violation);
        if let Some(StoredViolation { finding, .. }) = self.segment.violation(like)
            && self.segment.key(*finding).as_ref() == Some(&key)
        {
            return *finding;
        }
        let hash = self.hasher.hash_one(key.texts());
        if let Some(id) = self.findings.find(hash, |id| self.segment.key(*id).as_ref() == Some(&key)) {
            return *id;
        }
        let finding = Finding {
            container: key.container.map_or(TextId::NONE, |container| self.text(container)),
            path: self.text(key.path),
            message: self.text(key.message),
            rule: u16::try_from(place(violation.rule)).unwrap_or(u16::MAX),
            severity: key.severity,
            count: key.count,
        };
        let Self { segment, findings, hasher, .. } = self;
        let id = FindingId::new(segment.findings.len(), key.severity);
        segment.findings.push(finding);
        findings.insert_unique(hash, id, |id| segment.key(*id).map_or(0, |key| hasher.hash_one(key.texts())));
        id
    }

    /// Returns the place of the next violation.
    pub(super) fn next_violation(&self) -> u32 {
        narrow(self.segment.violations.len())
    }

    /// Returns the object that was added last.
    pub(super) fn last_object(&self) -> Option<StoredObject> {
        self.segment.objects.last().copied()
    }

    /// Adds an object, whose violations follow.
    pub(super) fn push_object(&mut self, object: StoredObject) {
        self.segment.objects.push(object);
    }

    /// Adds a violation of the last object.
    pub(super) fn push(&mut self, violation: StoredViolation) {
        self.segment.violations.push(violation);
    }

    /// Returns the bytes of text.
    pub(super) fn size(&self) -> usize {
        self.segment.text.len()
    }

    /// Returns true if no object was added.
    pub(super) fn is_empty(&self) -> bool {
        self.segment.objects.is_empty()
    }

    /// Ends the filling.
    pub(super) fn close(self) -> Segment {
        let mut segment = self.segment;
        segment.text.shrink_to_fit();
        segment.ends.shrink_to_fit();
        segment.findings.shrink_to_fit();
        segment.objects.shrink_to_fit();
        segment.violations.shrink_to_fit();
        segment
    }
}

/// Makes a number as small as it is stored: no segment comes near the limit.
pub(super) fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
