//! The kinds of APIs that Kubernetes has deprecated or removed, and those that replace them.

use std::sync::LazyLock;

/// The minor version of the newest Kubernetes 1 in the table.
pub(super) const NEWEST: u64 = 37;

/// The table, which `tests/api_lifecycle.rs` generates from the API packages of Kubernetes.
const TABLE: &str = include_str!("lifecycle.tsv");

/// An `apiVersion` and a kind.
type Type = (&'static str, &'static str);

/// The releases that deprecate and remove a kind, as minor versions of Kubernetes 1.
#[derive(Debug)]
pub(super) struct Lifecycle {
    /// The release that deprecates it.
    pub(super) deprecated: u64,
    /// The first release without it.
    pub(super) removed: u64,
    /// The type that replaces it.
    replacement: Option<Type>,
}

/// The lifecycle of each type in the table, sorted by type.
static LIFECYCLES: LazyLock<Vec<(Type, Lifecycle)>> =
    LazyLock::new(|| TABLE.lines().skip(1).filter_map(parse).collect());

impl Lifecycle {
    /// Returns the type that replaces this one in a release; `None` if nothing does.
    pub(super) fn replacement_in(&self, release: u64) -> Option<Type> {
        let (api_version, kind) = self.replacement?;
        match find(api_version, kind) {
            Some(next) if next.removed <= release => next.replacement_in(release),
            _ => Some((api_version, kind)),
        }
    }
}

/// Finds a type that Kubernetes has deprecated, or will.
pub(super) fn find(api_version: &str, kind: &str) -> Option<&'static Lifecycle> {
    let place = LIFECYCLES.binary_search_by(|(of, _)| of.cmp(&(api_version, kind))).ok()?;
    LIFECYCLES.get(place).map(|(_, lifecycle)| lifecycle)
}

/// Parses a row.
fn parse(row: &'static str) -> Option<(Type, Lifecycle)> {
    let mut columns = row.split('\t');
    let mut next = || columns.next().filter(|text| !text.is_empty());
    let of = (next()?, next()?);
    let (deprecated, removed) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let replacement = next().zip(next());
    Some((of, Lifecycle { deprecated, removed, replacement }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read() {
        assert_eq!(LIFECYCLES.len(), TABLE.lines().count() - 1);
        assert!(LIFECYCLES.len() > 90);
        assert!(LIFECYCLES.is_sorted_by(|(a, _), (b, _)| a < b), "each type is found by its place");
    }

    #[test]
    fn a_replacement_that_is_removed_too_is_replaced_in_turn() {
        let replacement =
            |api_version, kind, release| find(api_version, kind).unwrap().replacement_in(release);
        let schema = |version| Some((version, "FlowSchema"));
        let former = "flowcontrol.apiserver.k8s.io/v1beta1";
        assert_eq!(replacement(former, "FlowSchema", 31), schema("flowcontrol.apiserver.k8s.io/v1beta3"));
        assert_eq!(replacement(former, "FlowSchema", 32), schema("flowcontrol.apiserver.k8s.io/v1"));
        assert_eq!(replacement("policy/v1beta1", "PodSecurityPolicy", NEWEST), None);
    }
}
