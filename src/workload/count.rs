//! Counted nouns: `1 pod`, `2 pods`.

/// Returns a count with its noun: the singular for one, the plural for any other count.
pub fn count(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        let pods = |number| count(number, "pod", "pods");
        assert_eq!((&*pods(0), &*pods(1), &*pods(2)), ("0 pods", "1 pod", "2 pods"));
    }
}
