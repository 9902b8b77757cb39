//! The findings in objects that are no workloads. They have no share in a score.

use std::collections::BTreeMap;

use super::Tally;

/// The counts of findings in objects that are no workloads.
#[derive(Debug, Default)]
pub(super) struct OtherSums {
    /// The evaluated objects.
    pub(super) objects: u64,
    /// All counts.
    pub(super) total: Tally,
    /// The counts in each namespace; objects of the cluster have the empty one.
    namespaces: BTreeMap<String, Tally>,
}

impl OtherSums {
    /// Adds the counts of an object.
    pub(super) fn add(&mut self, namespace: &str, tally: &Tally) {
        if *tally != Tally::default() {
            self.total.add(tally);
            self.namespaces.entry(namespace.to_owned()).or_default().add(tally);
        }
    }

    /// Adds the counts of another part.
    pub(super) fn merge(&mut self, part: Self) {
        self.objects += part.objects;
        self.total.add(&part.total);
        for (namespace, tally) in part.namespaces {
            self.namespaces.entry(namespace).or_default().add(&tally);
        }
    }

    /// Passes the counts of each namespace to `exempt`, and takes away those that it returns.
    pub(super) fn reduce(&mut self, mut exempt: impl FnMut(&str, &Tally) -> Tally) {
        for (namespace, tally) in &mut self.namespaces {
            let exempt = exempt(namespace, tally);
            tally.remove(&exempt);
            self.total.remove(&exempt);
        }
    }

    /// Returns the counts of a namespace together with those of its workloads.
    pub(super) fn with(&self, namespace: &str, workloads: &Tally) -> Tally {
        let mut all = workloads.clone();
        if let Some(others) = self.namespaces.get(namespace) {
            all.add(others);
        }
        all
    }
}
