//! The known name that an unknown one is most like.

use crate::rules::RULES;

/// The least similarity of a name that is suggested.
const SIMILAR: f64 = 0.75;

/// Finds the known name that a user most likely meant. Case doesn't matter.
pub fn similar<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let name = name.to_lowercase();
    let rated = known.into_iter().map(|known| (strsim::jaro_winkler(&name, &known.to_lowercase()), known));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(similarity, _)| *similarity >= SIMILAR).map(|(_, known)| known)
}

/// Returns the end of a message about an unknown rule: the most similar id, or the way to find all.
pub(super) fn rule_like(id: &str) -> String {
    match similar(id, RULES.iter().map(|rule| rule.id.as_str())) {
        Some(best) => format!("; did you mean {best:?}?"),
        None => "; `kube-devops rules` lists them all".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_has_a_suggestion_and_another_word_has_none() {
        let known = ["latest-tag", "pending", "missing-liveness"];
        assert_eq!(similar("Latest-tga", known), Some("latest-tag"));
        assert_eq!(similar("livenes", known), None);
        assert_eq!(similar("quota", known), None);
        assert_eq!(similar("pending", []), None);
    }
}
