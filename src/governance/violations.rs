//! The violations of a report, stored in little memory and read back in order.
//!
//! A large cluster has hundreds of thousands of violations, and most of their text is the same. Each text is stored once
//! in a segment, and a violation is a row of numbers. Segments are filled on several threads and merged without a copy.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::segment::{Finding, OpenSegment, Segment, StoredLine, StoredObject, StoredViolation, TextId};
use crate::inventory::Identity;
use crate::rules::{RuleId, Severity, Violation, at};
use crate::workload::{Owner, Workload, WorkloadKey};

/// The place of an object in the input.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The file.
    pub source: &'a str,
    /// The object's first line, from 1.
    pub line: usize,
    /// Finds the line of a field by its path, where that is possible. It is called for violations only.
    pub line_of: &'a dyn Fn(&str) -> Option<usize>,
}

impl Origin<'_> {
    /// Returns the line of a field, else that of the object.
    fn line_of(&self, path: &str) -> StoredLine {
        (self.line_of)(path).map_or(StoredLine::of_object(self.line), StoredLine::of_field)
    }
}

/// One violation of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct ViolationRow<'r> {
    /// The object's namespace; empty for a cluster-scoped object.
    pub namespace: &'r str,
    /// The object's kind.
    pub kind: &'r str,
    /// The object's name.
    pub name: &'r str,
    /// The manager of the object, as `Kind/name`; `None` when it manages itself.
    pub owner: Option<&'r str>,
    /// The container; `None` for the pod as a whole.
    pub container: Option<&'r str>,
    /// The rule.
    pub rule: RuleId,
    /// The severity under the policy.
    pub severity: Severity,
    /// The amount that it adds to the rule's count.
    #[serde(skip)]
    pub count: u8,
    /// The problem and the fix.
    pub message: &'r str,
    /// The path of the field in the object.
    pub path: &'r str,
    /// The file, and the line of the field in it; `None` for a live object.
    pub source: Option<SourceLine<'r>>,
}

/// One violation of one object, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedViolation {
    /// The object's namespace; empty for a cluster-scoped object.
    pub namespace: String,
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The workload that manages the object, as `Kind/name`; none for one that nothing manages.
    pub owner: Option<String>,
    /// The container; none for a violation of the whole pod.
    pub container: Option<String>,
    /// The rule.
    pub rule: RuleId,
    /// The severity under the policy.
    pub severity: Severity,
    /// The problem and its remedy.
    pub message: String,
    /// The path of the field in the object.
    pub path: String,
    /// The file and the line of the field in it, as `file:line`; none for a live object.
    pub source: Option<String>,
}

impl From<ViolationRow<'_>> for ReportedViolation {
    fn from(row: ViolationRow<'_>) -> Self {
        let ViolationRow {
            namespace,
            kind,
            name,
            owner,
            container,
            rule,
            severity,
            message,
            path,
            source,
            ..
        } = row;
        Self {
            namespace: namespace.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            owner: owner.map(str::to_owned),
            container: container.map(str::to_owned),
            rule,
            severity,
            message: message.to_owned(),
            path: path.to_owned(),
            source: source.map(|source| source.to_string()),
        }
    }
}

impl ViolationRow<'_> {
    /// Returns the workload that a user edits: the manager, else the object itself.
    pub fn workload(&self) -> Owner<'_> {
        let manager = self.owner.and_then(|owner| Owner::parse(owner).ok());
        manager.unwrap_or(Owner { kind: self.kind, name: self.name })
    }

    /// The namespace, the kind and the name of the object between slashes, without a namespace for a cluster-scoped one.
    pub fn object(&self) -> String {
        Owner { kind: self.kind, name: self.name }.full_name(self.namespace)
    }

    /// The namespace and the name of the object between slashes, without a namespace for a cluster-scoped one.
    pub fn full_name(&self) -> String {
        let Self { namespace, name, .. } = self;
        if namespace.is_empty() { (*name).to_owned() } else { format!("{namespace}/{name}") }
    }

    /// Compares two violations of equal severity in objects of equal name.
    fn by_place(&self, other: &Self) -> Ordering {
        let key = (self.rule, self.path, self.source, self.container, self.message);
        key.cmp(&(other.rule, other.path, other.source, other.container, other.message))
    }
}

/// A file and a line, written as `file:line`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceLine<'r> {
    /// The file.
    pub source: &'r str,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for SourceLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.line)
    }
}

impl Serialize for SourceLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A violation with its segment and its place there.
type Placed<'r> = (ViolationRow<'r>, (u32, u32));

/// The violations of many objects.
#[derive(Debug, Default)]
pub struct ViolationList {
    segments: Vec<Segment>,
    open: OpenSegment,
    /// The objects in their order, each by its segment and its place there.
    order: Vec<(u32, u32)>,
}

/// A segment is closed when it holds this many bytes of text.
const SEGMENT: usize = 1 << 16;

impl ViolationList {
    /// Adds the violations of a pod or template; `owner` is its manager if it does not manage itself.
    pub(super) fn add(
        &mut self,
        namespace: &str,
        workload: &Workload<'_>,
        owner: Option<Owner<'_>>,
        origin: Option<Origin<'_>>,
        violations: &[Violation],
    ) {
        let object = Owner { kind: workload.kind.name(), name: workload.name() };
        self.store(namespace, object, owner, origin, violations, workload.is_pod());
    }

    /// Adds the violations of an object itself, which its pods don't replace.
    pub(super) fn add_certain(
        &mut self,
        namespace: &str,
        object: Owner<'_>,
        origin: Option<Origin<'_>>,
        violations: &[Violation],
    ) {
        self.store(namespace, object, None, origin, violations, true);
    }

    /// Adds the violations of an object by its identity. Without an origin, its text is not at hand any more, and
    /// [`Self::find_lines`] finds the lines.
    pub(super) fn add_known(
        &mut self,
        object: &Identity,
        origin: Option<Origin<'_>>,
        violations: &[Violation],
    ) {
        let Identity { namespace, name, kind, owner, source, .. } = object;
        let owner = owner.as_deref().and_then(|owner| Owner::parse(owner).ok());
        let object = Owner { kind: kind.name(), name };
        let known = source.as_ref().map(|(source, line)| Origin { source, line: *line, line_of: &|_| None });
        self.store(namespace, object, owner, origin.or(known), violations, true);
    }

    fn store(
        &mut self,
        namespace: &str,
        Owner { kind, name }: Owner<'_>,
        owner: Option<Owner<'_>>,
        origin: Option<Origin<'_>>,
        violations: &[Violation],
        is_certain: bool,
    ) {
        if violations.is_empty() {
            return;
        }
        let open = &mut self.open;
        let object = StoredObject {
            namespace: open.text(namespace),
            name: open.text(name),
            owner: owner.map_or(TextId::NONE, |owner| open.text(&owner.to_string())),
            source: origin.map_or(TextId::NONE, |origin| open.text(origin.source)),
            first: open.next_violation(),
            severities: violations.iter().fold(0, |bits, violation| bits | bit(violation.severity)),
            kind: open.text(kind),
            is_certain,
        };
        open.push_object(object);
        for violation in violations {
            let finding = open.finding(violation);
            let line = origin.map_or(StoredLine::NONE, |origin| origin.line_of(&violation.path));
            open.push(StoredViolation { finding, line });
        }
        if open.size() > SEGMENT {
            self.close();
        }
    }

    /// Adds the violations of another part.
    pub(super) fn merge(&mut self, mut other: Self) {
        other.close();
        self.segments.append(&mut other.segments);
    }

    /// Drops the violations of the templates for which `is_covered` is true, and sorts the rest.
    pub(super) fn finish(&mut self, is_covered: impl Fn(&WorkloadKey) -> bool) {
        self.close();
        let mut namespaces: BTreeMap<&str, Vec<(u32, u32)>> = BTreeMap::new();
        for (index, segment) in (0..).zip(&self.segments) {
            for (place, object) in (0..).zip(segment.objects()) {
                let (namespace, name) = (segment.required(object.namespace), segment.required(object.name));
                let key = || WorkloadKey::new(namespace, Owner { kind: segment.required(object.kind), name });
                if object.is_certain || !is_covered(&key()) {
                    namespaces.entry(namespace).or_default().push((index, place));
                }
            }
        }
        let sorted = namespaces.into_values().flat_map(|mut objects| {
            // The input is often sorted already, and a stable sort makes use of that.
            objects.sort_by(|a, b| self.by_name(*a, *b));
            objects
        });
        self.order = sorted.collect();
    }

    /// Returns the number of violations.
    pub fn len(&self) -> usize {
        let count =
            |&(segment, object): &(u32, u32)| self.segment(segment).violations_of(object as usize).len();
        self.order.iter().map(count).sum()
    }

    /// Returns true if there is no violation.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Iterates over the violations: the worst severity first, then by namespace, name, kind, rule, path and source.
    pub fn iter(&self) -> impl Iterator<Item = ViolationRow<'_>> {
        self.placed().map(|(violation, _)| violation)
    }

    /// Removes the violations for which `keep` is false. It sees them in their order.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&ViolationRow<'_>) -> bool) {
        let removed = self.placed().filter(|(violation, _)| !keep(violation)).map(|(_, place)| place);
        let mut removed: Vec<(u32, u32)> = removed.collect();
        removed.sort_unstable();
        for places in removed.chunk_by(|a, b| a.0 == b.0) {
            let Some((segment, _)) = places.first() else { continue };
            let in_segment: Vec<u32> = places.iter().map(|(_, place)| *place).collect();
            self.segments[*segment as usize].remove(&in_segment);
        }
        let segments = &self.segments;
        self.order.retain(|(segment, object)| {
            !segments[*segment as usize].violations_of(*object as usize).is_empty()
        });
    }

    /// Finds the lines of fields that were unknown while their object was read.
    ///
    /// `find` gets these violations, with the line of the object, and returns the line of each field that it finds.
    pub fn find_lines(&mut self, find: impl FnOnce(&[ViolationRow<'_>]) -> Vec<Option<usize>>) {
        let without_line = |violation: &StoredViolation, _: &Finding| violation.line.is_of_object();
        let (rows, places): (Vec<_>, Vec<_>) =
            self.order.iter().flat_map(|object| self.rows(*object, without_line)).unzip();
        if rows.is_empty() {
            return;
        }
        let lines = find(&rows);
        for ((segment, place), line) in places.into_iter().zip(lines) {
            if let Some(line) = line {
                self.segments[segment as usize].set_line(place, line);
            }
        }
    }

    /// Appends text to the messages of violations for which `more` returns some.
    pub(super) fn annotate(&mut self, more: impl Fn(&ViolationRow<'_>) -> Option<String>) {
        self.rewrite(|violation| Some(format!("{}{}", violation.message, more(violation)?)));
    }

    /// Replaces the messages of violations for which `message` returns one.
    pub(super) fn rewrite(&mut self, message: impl Fn(&ViolationRow<'_>) -> Option<String>) {
        let found = self.placed().filter_map(|(violation, place)| Some((place, message(&violation)?)));
        let found: Vec<_> = found.collect();
        for ((segment, place), message) in found {
            self.segments[segment as usize].set_message(place, &message);
        }
    }

    /// Iterates over the violations in their order, each with its segment and its place there.
    fn placed(&self) -> impl Iterator<Item = Placed<'_>> {
        let same = |a: &(u32, u32), b: &(u32, u32)| self.is_same(*a, *b);
        let found = self.order.iter().fold(0, |bits, object| bits | self.object(*object).1.severities);
        let severities = Severity::ALL.into_iter().rev().filter(move |severity| found & bit(*severity) != 0);
        severities.flat_map(move |severity| {
            self.order.chunk_by(same).flat_map(move |objects| {
                let mut found: Vec<_> =
                    objects.iter().flat_map(|object| self.of_severity(*object, severity)).collect();
                found.sort_unstable_by(|(a, _), (b, _)| a.by_place(b));
                found
            })
        })
    }

    fn of_severity(&self, object: (u32, u32), severity: Severity) -> impl Iterator<Item = Placed<'_>> {
        let has_some = self.object(object).1.severities & bit(severity) != 0;
        let object = has_some.then_some(object).into_iter();
        object.flat_map(move |object| self.rows(object, move |_, finding| finding.severity == severity))
    }

    /// Iterates over the violations of an object for which `is_wanted` is true.
    fn rows(
        &self,
        (index, object): (u32, u32),
        is_wanted: impl Fn(&StoredViolation, &Finding) -> bool,
    ) -> impl Iterator<Item = Placed<'_>> {
        let (segment, stored) = self.object((index, object));
        let violations = (stored.first..).zip(segment.violations_of(object as usize));
        violations.filter_map(move |(place, violation)| {
            let finding = segment.finding(violation).filter(|finding| is_wanted(violation, finding))?;
            let source = segment.text(stored.source);
            let row = ViolationRow {
                namespace: segment.required(stored.namespace),
                kind: segment.required(stored.kind),
                name: segment.required(stored.name),
                owner: segment.text(stored.owner),
                container: segment.text(finding.container),
                rule: at(usize::from(finding.rule))?.id,
                severity: finding.severity,
                count: finding.count,
                message: segment.required(finding.message),
                path: segment.required(finding.path),
                source: source.map(|source| SourceLine { source, line: violation.line.number() }),
            };
            Some((row, (index, place)))
        })
    }

    fn segment(&self, index: u32) -> &Segment {
        &self.segments[index as usize]
    }

    /// Compares two objects of a namespace by name and kind.
    fn by_name(&self, a: (u32, u32), b: (u32, u32)) -> Ordering {
        let ((a, of_a), (b, of_b)) = (self.object(a), self.object(b));
        let names = a.required(of_a.name).cmp(b.required(of_b.name));
        names.then_with(|| a.required(of_a.kind).cmp(b.required(of_b.kind)))
    }

    /// Returns true if two objects have the same namespace, name and kind.
    fn is_same(&self, a: (u32, u32), b: (u32, u32)) -> bool {
        if a.0 == b.0 {
            // A segment has each text once.
            let texts = |object| {
                let (_, stored) = self.object(object);
                (stored.namespace, stored.name, stored.kind)
            };
            return texts(a) == texts(b);
        }
        let namespace = |object| {
            let (segment, stored) = self.object(object);
            segment.required(stored.namespace)
        };
        self.by_name(a, b).is_eq() && namespace(a) == namespace(b)
    }

    fn object(&self, (segment, object): (u32, u32)) -> (&Segment, &StoredObject) {
        let segment = self.segment(segment);
        (segment, &segment.objects()[object as usize])
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.segments.push(std::mem::take(&mut self.open).close());
        }
    }
}

impl Serialize for ViolationList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut violations = serializer.serialize_seq(Some(self.len()))?;
        self.iter().try_for_each(|violation| violations.serialize_element(&violation))?;
        violations.end()
    }
}

/// Returns the bit that stands for a severity.
fn bit(severity: Severity) -> u8 {
    1 << severity as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{LATEST_TAG, MISSING_LIVENESS, Rule};
    use crate::workload::WorkloadKind;

    fn add(part: &mut ViolationList, name: &str, line: usize, found: &[(&Rule, &str)]) {
        let json = format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
        let workload = Workload::from_json(WorkloadKind::Pod, &json).unwrap();
        let violations: Vec<Violation> = found
            .iter()
            .map(|(rule, path)| Violation {
                rule: rule.id,
                severity: rule.severity,
                count: 1,
                container: Some("c".to_owned()),
                path: (*path).to_owned(),
                message: format!("{name} {path}"),
                values: Vec::new(),
            })
            .collect();
        part.add("n", &workload, None, Some(Origin { source: "f", line, line_of: &|_| None }), &violations);
    }

    fn listed(violations: &ViolationList) -> Vec<String> {
        let row = |v: ViolationRow<'_>| format!("{} {} {} {}", v.severity, v.name, v.path, v.source.unwrap());
        violations.iter().map(row).collect()
    }

    #[test]
    fn violations_come_by_severity_and_name_however_they_were_gathered() {
        let mut whole = ViolationList::default();
        for (name, line) in [("b", 9), ("a", 10), ("a", 9)] {
            let mut part = ViolationList::default();
            add(
                &mut part,
                name,
                line,
                &[(&MISSING_LIVENESS, "y"), (&MISSING_LIVENESS, "x"), (&LATEST_TAG, "z")],
            );
            whole.merge(part);
        }
        add(&mut whole, "none", 1, &[]);
        whole.finish(|_| false);
        let expected = [
            "high a z f:9",
            "high a z f:10",
            "high b z f:9",
            "medium a x f:9",
            "medium a x f:10",
            "medium a y f:9",
            "medium a y f:10",
            "medium b x f:9",
            "medium b y f:9",
        ];
        assert_eq!(listed(&whole), expected);
        assert_eq!((whole.len(), whole.is_empty()), (9, false));
    }

    #[test]
    fn removed_violations_are_gone_and_the_others_keep_their_order() {
        let mut whole = ViolationList::default();
        for (name, line) in [("a", 1), ("b", 2), ("c", 3)] {
            add(&mut whole, name, line, &[(&MISSING_LIVENESS, "y"), (&LATEST_TAG, "z")]);
        }
        whole.finish(|_| false);
        let before = listed(&whole);
        whole.retain(|violation| violation.name != "b" && violation.message != "a y");
        let kept = |row: &&String| !row.contains(" b ") && **row != "medium a y f:1";
        assert_eq!(listed(&whole), before.iter().filter(kept).cloned().collect::<Vec<_>>());
        assert_eq!((whole.len(), whole.order.len()), (3, 2));
    }

    #[test]
    fn texts_are_stored_once_and_segments_end() {
        let mut whole = ViolationList::default();
        for number in 0..10_000 {
            add(
                &mut whole,
                &format!("pod-{number:05}"),
                number,
                &[(&LATEST_TAG, "spec.containers[0].image")],
            );
        }
        whole.finish(|_| false);
        assert!((4..20).contains(&whole.segments.len()), "{}", whole.segments.len());
        let names: Vec<_> = whole.iter().map(|violation| violation.name.to_owned()).collect();
        assert_eq!(names, (0..10_000).map(|number| format!("pod-{number:05}")).collect::<Vec<_>>());
    }
}
