//! The lines on standard error beside a report: its errors, and notes that put its figures into perspective.

use std::fmt;
use std::io;

use super::Text;
use crate::governance::{KnownFinding, NewFindings, Report};
use crate::workload::count;

/// A report and the request that it answers.
pub struct Notes<'a> {
    /// The report.
    pub report: &'a Report,
    /// Notes about the input, with their places.
    pub input: &'a [String],
    /// True if the input was manifests, in which templates are evaluated too.
    pub templates: bool,
    /// True if the input is said to be complete.
    pub complete: bool,
    /// The requested namespaces; empty for all.
    pub namespaces: &'a [String],
    /// The commit since which changes are reported; `None` if everything is reported.
    pub changed_since: Option<&'a str>,
    /// The requested label selector.
    pub selector: Option<String>,
    /// The system namespaces that were not read.
    pub skipped_namespaces: &'a [String],
    /// True if the report itself lists the objects of other kinds.
    pub lists_other_kinds: bool,
}

/// The maximum number of notes of one kind.
const MOST: usize = 20;

impl Notes<'_> {
    /// Writes one line for each error and note.
    pub fn write(&self, err: &mut Text<'_>) -> io::Result<()> {
        for error in &self.report.errors {
            err.error(error)?;
        }
        listed(&self.report.unrendered, err)?;
        listed(self.input, err)?;
        let notes = [
            self.unmatched(),
            self.left_out(),
            self.patches(),
            self.unevaluated_kinds(),
            self.other_kinds(),
            self.skipped_namespaces(),
            self.unknown(),
            self.known(),
        ];
        notes.into_iter().flatten().try_for_each(|note| err.note(note))?;
        for (rule, reason) in &self.report.unknown_reasons {
            let objects = self.report.summary.unknown.get(rule).copied().unwrap_or_default();
            let objects = count(objects, "object", "objects");
            err.note(format_args!("rule {rule} can't tell for {objects}; the first is {reason}"))?;
        }
        self.report
            .exempt
            .iter()
            .filter(|exempt| exempt.matters())
            .try_for_each(|exempt| err.note(exempt))?;
        self.report.refused_exemptions.iter().take(MOST).try_for_each(|refused| err.note(refused))?;
        self.fixed(err)
    }

    /// Names the findings that can leave the baseline, and those that can if their workloads were deleted.
    fn fixed(&self, err: &mut Text<'_>) -> io::Result<()> {
        let Some(NewFindings { fixed, missing, .. }) = &self.report.baseline else { return Ok(()) };
        let named = |problem: &str, findings: &[KnownFinding]| -> Vec<String> {
            findings.iter().map(|finding| format!("{problem}: {finding}")).collect()
        };
        listed(&named("fixed, and still in the baseline", fixed), err)?;
        // A run that reads a part of the files would name most of the baseline.
        if missing.len() > MOST {
            let findings = count(missing.len() as u64, "finding", "findings");
            return err
                .note(format_args!("{findings} of the baseline are of workloads that are not in the input"));
        }
        listed(&named("in the baseline, and its workload is not in the input", missing), err)
    }

    /// Counts the known findings, which no format lists.
    fn known(&self) -> Option<String> {
        let known = self.report.baseline.as_ref()?.known;
        let are = if known == 1 { "is" } else { "are" };
        (known > 0).then(|| {
            format!("{} of the baseline {are} not listed", count(known as u64, "finding", "findings"))
        })
    }

    /// Returns true if the report has a score but nothing was evaluated.
    fn is_empty(&self) -> bool {
        let Report { summary, objects, .. } = self.report;
        summary.pods == 0 && *objects == 0 && summary.score.is_some()
    }

    fn nouns(&self) -> (&'static str, &'static str) {
        if self.templates { ("pod or template", "pods or templates") } else { ("pod", "pods") }
    }

    /// Explains why nothing was evaluated.
    fn unmatched(&self) -> Option<String> {
        if !self.is_empty() || self.report.left_out > 0 {
            return None;
        }
        if let Some(commit) = self.changed_since {
            return Some(format!(
                "nothing was evaluated: no pod or template that was asked for has changed since {commit}"
            ));
        }
        let namespaces = (!self.namespaces.is_empty())
            .then(|| format!("is in namespace {}", self.namespaces.join(" or ")));
        let labels = self.selector.as_ref().map(|labels| format!("has the labels {labels}"));
        let asked: Vec<_> = [namespaces, labels].into_iter().flatten().collect();
        Some(if self.report.selected == 0 && !asked.is_empty() {
            format!("nothing was evaluated: no {} that was read {}", self.nouns().0, asked.join(" and "))
        } else {
            let templates =
                if self.templates { ", and no pod template of a kind that is evaluated" } else { "" };
            format!("nothing was evaluated: there is no unfinished pod{templates}")
        })
    }

    fn left_out(&self) -> Option<String> {
        let (one, many) = self.nouns();
        let nothing = if self.is_empty() { "nothing was evaluated: " } else { "" };
        match self.report.left_out {
            0 => None,
            1 => Some(format!(
                "{nothing}1 {one} in a system namespace was left out (--include-system evaluates it)"
            )),
            left_out => Some(format!(
                "{nothing}{left_out} {many} in system namespaces were left out (--include-system evaluates them)"
            )),
        }
    }

    fn patches(&self) -> Option<String> {
        let patches = self.report.patches;
        (patches > 0).then(|| {
            let (were, them) = if patches == 1 { ("was", "it") } else { ("were", "them") };
            let patches = count(patches, "kustomize patch", "kustomize patches");
            format!("{patches} {were} passed over: the output of `kubectl kustomize` includes {them}")
        })
    }

    /// Names the kinds that hold containers and are not evaluated.
    fn unevaluated_kinds(&self) -> Option<String> {
        let kinds = &self.report.unevaluated;
        let names = kinds.iter().map(|kind| format!("{} ({})", kind.types.kind, kind.types.api_version));
        let names = names.collect::<Vec<_>>().join(", ");
        let objects: u64 = kinds.iter().map(|kind| kind.count).sum();
        let were = if objects == 1 { "was" } else { "were" };
        let objects = count(objects, "object that holds containers", "objects that hold containers");
        (!kinds.is_empty()).then(|| format!("{objects} {were} not evaluated, because of the kind: {names}"))
    }

    fn other_kinds(&self) -> Option<String> {
        let (objects, kinds) = self.report.other_kinds();
        if self.lists_other_kinds || objects == 0 {
            return None;
        }
        let objects_are = count(objects, "object", "objects");
        let kinds = if kinds == 1 { "another kind".to_owned() } else { format!("{kinds} other kinds") };
        let (were, them) = if objects == 1 { ("was", "it") } else { ("were", "them") };
        Some(format!("{objects_are} of {kinds} {were} not evaluated (-o json lists {them})"))
    }

    /// Names the rules that can't tell, because objects that they need were not read.
    fn unknown(&self) -> Option<String> {
        let unknown = &self.report.summary.unknown;
        let unknown = unknown.iter().filter(|(rule, _)| !self.report.unknown_reasons.contains_key(rule));
        let rules: Vec<_> = unknown.map(|(rule, count)| format!("{rule} ({count})")).collect();
        let may_be_complete = self.templates && !self.complete;
        let remedy = if may_be_complete { "; --complete says that the input has everything" } else { "" };
        (!rules.is_empty()).then(|| {
            format!(
                "unknown, because objects that these rules need were not read: {}{remedy}",
                rules.join(", ")
            )
        })
    }

    fn skipped_namespaces(&self) -> Option<String> {
        let names = self.skipped_namespaces.join(", ");
        (!names.is_empty())
            .then(|| format!("system namespaces were not read: {names} (--include-system evaluates them)"))
    }
}

/// Writes notes of one kind, and counts those beyond the maximum.
fn listed(notes: &[impl fmt::Display], err: &mut Text<'_>) -> io::Result<()> {
    notes.iter().take(MOST).try_for_each(|note| err.note(note))?;
    match notes.len().saturating_sub(MOST) {
        0 => Ok(()),
        more => err.note(format_args!("{} of this kind", count(more as u64, "more note", "more notes"))),
    }
}
