//! The groups of pods by namespace and label, so that a selector looks at few of them.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};

use super::PodGroup;
use crate::workload::LabelSelector;

/// An index over groups of pods. It holds their places.
#[derive(Debug, Default)]
pub(super) struct PodIndex {
    namespaces: HashMap<Arc<str>, Namespace>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug, Default)]
struct Namespace {
    all: Vec<u32>,
    /// By the hash of key and value. Two labels with one hash only cost a comparison.
    by_label: HashMap<u64, Vec<u32>>,
    /// Every key of a label.
    keys: HashSet<String>,
}

impl PodIndex {
    pub(super) fn new(groups: &[PodGroup]) -> Self {
        let mut index = Self::default();
        let hasher = &index.hasher;
        for (place, group) in (0..).zip(groups) {
            let namespace = index.namespaces.entry(Arc::clone(&group.identity.namespace)).or_default();
            namespace.all.push(place);
            for (key, value) in group.labels.iter() {
                namespace.by_label.entry(hasher.hash_one((key, value))).or_default().push(place);
                if !namespace.keys.contains(key) {
                    namespace.keys.insert(key.to_owned());
                }
            }
        }
        index
    }

    /// Returns true if a pod of a namespace has a label with this key.
    pub(super) fn has_key(&self, namespace: &str, key: &str) -> bool {
        self.namespaces.get(namespace).is_some_and(|namespace| namespace.keys.contains(key))
    }

    /// Returns the places of all groups that a selector may match, in order.
    pub(super) fn candidates(&self, namespace: &str, selector: &LabelSelector<'_>) -> &[u32] {
        let hasher = &self.hasher;
        let Some(namespace) = self.namespaces.get(namespace) else { return &[] };
        // A label that a controller adds is in no template.
        let labels = selector.match_labels.iter().filter(|(key, _)| !PodGroup::is_added(key));
        let lists = labels.map(|(key, value)| {
            namespace.by_label.get(&hasher.hash_one((key, value))).map_or(&[][..], Vec::as_slice)
        });
        lists.min_by_key(|list| list.len()).unwrap_or(&namespace.all)
    }
}
