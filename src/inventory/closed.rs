//! The kinds of which the input has every object.

use std::collections::HashSet;

use crate::workload::{Kind, Kinds};

/// The kinds of which the input has every object, by namespace.
#[derive(Debug, Clone, Default)]
pub struct Closed {
    everywhere: Kinds,
    within: HashSet<(Kind, String)>,
}

impl Closed {
    /// Notes that the input has every object of these kinds.
    pub fn close(&mut self, kinds: Kinds) {
        self.everywhere = self.everywhere.union(kinds);
    }

    /// Notes that the input has every object of a kind in one namespace.
    pub fn close_within(&mut self, kind: Kind, namespace: &str) {
        self.within.insert((kind, namespace.to_owned()));
    }

    /// Returns true if the input has every object of a kind.
    pub fn everywhere(&self, kind: Kind) -> bool {
        self.everywhere.contains(kind)
    }

    /// Returns true if the input has every object of a kind in one namespace.
    pub fn within(&self, kind: Kind, namespace: &str) -> bool {
        self.everywhere(kind) || self.within.contains(&(kind, namespace.to_owned()))
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.close(other.everywhere);
        self.within.extend(other.within);
    }
}
