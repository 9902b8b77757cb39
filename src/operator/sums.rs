//! The figures of an evaluation without its findings, which add up over namespaces. Pure.

use std::collections::BTreeMap;

use super::{NamespaceEvaluation, UnreadKind};
use crate::governance::Score;

/// The most lines about exemptions that are kept.
const LISTED: usize = 20;
/// The most lines about rules that can't tell that are kept.
const UNKNOWN: usize = 10;

/// The figures of one namespace, or of several together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvaluationSums {
    /// The evaluated pods; a template without pods counts as one.
    pub pods: u64,
    /// The penalty, in half points.
    pub half_points: u64,
    /// The violations by rule.
    pub by_rule: BTreeMap<&'static str, u64>,
    /// The number of exempt findings.
    pub exempted: u64,
    /// The annotations that exempt nothing, each in words, and after them the exemptions.
    pub exemptions: ExemptionLines,
    /// The rules that can't tell for some objects, in words.
    pub unknown: Vec<String>,
    /// The kinds that could not be read; `None` if every rule looks at pods and workloads alone.
    pub unread: Option<Vec<UnreadKind>>,
}

/// Lines about exemptions, of which only the first are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExemptionLines {
    /// The first annotations that exempt nothing.
    pub refused: Vec<String>,
    /// The first exemptions.
    pub exempt: Vec<String>,
    /// The number of annotations that exempt nothing, and that of exemptions.
    pub counts: (usize, usize),
}

impl EvaluationSums {
    /// Takes the figures of an evaluation.
    pub fn of(evaluation: &NamespaceEvaluation) -> Self {
        let NamespaceEvaluation { refused, exempt, unknown, .. } = evaluation;
        let mut by_rule = BTreeMap::new();
        for violation in &evaluation.violations {
            *by_rule.entry(violation.rule.as_str()).or_default() += 1;
        }
        Self {
            pods: evaluation.pods,
            half_points: evaluation.half_points,
            by_rule,
            exempted: evaluation.exempted,
            exemptions: ExemptionLines {
                refused: refused.iter().take(LISTED).cloned().collect(),
                exempt: exempt.iter().take(LISTED).map(ToString::to_string).collect(),
                counts: (refused.len(), exempt.len()),
            },
            unknown: unknown.clone(),
            unread: evaluation.unread.clone(),
        }
    }

    /// Adds the figures of another namespace.
    pub fn add(&mut self, other: &Self) {
        self.pods += other.pods;
        self.half_points = self.half_points.saturating_add(other.half_points);
        for (rule, count) in &other.by_rule {
            *self.by_rule.entry(rule).or_default() += count;
        }
        self.exempted += other.exempted;
        self.exemptions.add(&other.exemptions);
        extend(&mut self.unknown, &other.unknown, UNKNOWN);
        if let Some(unread) = &other.unread {
            let known = self.unread.get_or_insert_default();
            let new: Vec<_> = unread.iter().filter(|kind| !known.contains(kind)).cloned().collect();
            known.extend(new);
        }
    }

    /// Returns the number of violations, one per container and rule.
    pub fn violations(&self) -> u64 {
        self.by_rule.values().sum()
    }

    /// Returns the score of all pods together.
    pub fn score(&self) -> Score {
        Score::of_penalty(self.pods, self.half_points)
    }
}

impl ExemptionLines {
    fn add(&mut self, other: &Self) {
        extend(&mut self.refused, &other.refused, LISTED);
        extend(&mut self.exempt, &other.exempt, LISTED);
        self.counts = (self.counts.0 + other.counts.0, self.counts.1 + other.counts.1);
    }

    /// Returns the lines in words; `None` if there are none.
    pub fn text(&self) -> Option<String> {
        let all = self.counts.0 + self.counts.1;
        let more = all.saturating_sub(LISTED);
        let more = (more > 0).then(|| format!("and {more} more"));
        let lines = self.refused.iter().chain(&self.exempt).take(LISTED).cloned().chain(more);
        (all > 0).then(|| lines.collect::<Vec<_>>().join("; "))
    }
}

fn extend(lines: &mut Vec<String>, more: &[String], most: usize) {
    let room = most.saturating_sub(lines.len());
    lines.extend(more.iter().take(room).cloned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_of_namespaces_together_is_that_of_their_pods_and_no_mean() {
        let sums = |pods, half_points| EvaluationSums { pods, half_points, ..EvaluationSums::default() };
        let (mut large, small) = (sums(9, 0), sums(1, 200));
        assert_eq!((large.score().value(), small.score().value()), (100, 0));
        large.add(&small);
        assert_eq!(large.score().value(), 90);
    }

    #[test]
    fn only_the_first_lines_are_kept_and_all_are_counted() {
        let lines = ExemptionLines {
            refused: vec!["a".to_owned()],
            exempt: (0..20).map(|line| line.to_string()).collect(),
            counts: (1, 25),
        };
        let mut sums = EvaluationSums { exemptions: lines, ..EvaluationSums::default() };
        sums.add(&sums.clone());
        let text = sums.exemptions.text().unwrap();
        assert!(text.starts_with("a; a; 0; ") && text.ends_with("; 17; and 32 more"), "{text}");
        assert_eq!(ExemptionLines::default().text(), None);
    }
}
