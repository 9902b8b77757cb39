//! The impact of policies, as text.

use std::io::{self, Write as _};

use super::Text;
use crate::governance::{Impact, Score, WorkloadImpact};

/// Writes the impact of one set of policies in place of another.
pub fn impact(impact: &Impact, out: &mut Text<'_>) -> io::Result<()> {
    for namespace in &impact.namespaces {
        let score = |score: Option<Score>| score.map_or_else(|| "none".to_owned(), |score| score.to_string());
        let (before, after) = (score(namespace.score_before), score(namespace.score_after));
        if !namespace.differs() {
            writeln!(out, "{}: score {before}, no difference", namespace.namespace)?;
            continue;
        }
        writeln!(out, "{}: score {before} -> {after}", namespace.namespace)?;
        list("would newly fail", &namespace.newly_failing, out)?;
        list("would be denied", &namespace.newly_denied, out)?;
        list("would have an enforced fix", &namespace.newly_fixable, out)?;
        list("would no longer fail", &namespace.no_longer_failing, out)?;
    }
    if !impact.differs() && !impact.namespaces.is_empty() {
        writeln!(out, "No workload has another outcome, and no score changes.")?;
    }
    Ok(())
}

fn list(what: &str, workloads: &[WorkloadImpact], out: &mut Text<'_>) -> io::Result<()> {
    for one in workloads {
        let rules: Vec<_> = one.rules.iter().map(|rule| rule.as_str()).collect();
        writeln!(out, "  {} {what}: {}", one.workload, rules.join(", "))?;
    }
    Ok(())
}
