//! The store behind a list and a watch: objects in groups, and a mark on each that shows when it was seen last. Pure.
//!
//! A list takes many pages, and events of other watches arrive meanwhile. Until the list ends, the store keeps what it
//! knew before. At its end, [`Store::end_list`] removes every object that was not seen since the list began.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// A map below this capacity is never shrunk.
const SMALL: usize = 64;

/// Values by group and key. The group is usually a namespace.
///
/// Its size follows its content: a group that is empty leaves no trace.
#[derive(Debug)]
pub struct Store<K, V> {
    groups: HashMap<Box<str>, Group<K, V>>,
    mark: ListMark,
}

type Group<K, V> = HashMap<K, Entry<V>>;

/// A point in the order of lists; several lists may be under way at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListMark(u64);

#[derive(Debug)]
struct Entry<V> {
    value: V,
    /// The newest list that had begun when the value was seen last.
    seen: ListMark,
}

impl<K, V> Default for Store<K, V> {
    fn default() -> Self {
        Self { groups: HashMap::new(), mark: ListMark::default() }
    }
}

impl<K: Eq + Hash, V> Store<K, V> {
    /// Begins a list and returns the mark that ends it.
    pub fn begin_list(&mut self) -> ListMark {
        self.mark.0 += 1;
        self.mark
    }

    /// Ends a list: removes and returns the values that were not seen since `begun`.
    ///
    /// The list covered one group, or all if `group` is `None`, and within them what `covers` accepts.
    pub fn end_list(
        &mut self,
        begun: ListMark,
        group: Option<&str>,
        covers: impl Fn(&K, &V) -> bool,
    ) -> Vec<(Box<str>, K, V)> {
        let mut removed = Vec::new();
        let mut sweep = |name: &str, group: &mut Group<K, V>| {
            let gone = group.extract_if(|key, entry| entry.seen < begun && covers(key, &entry.value));
            removed.extend(gone.map(|(key, entry)| (Box::from(name), key, entry.value)));
            shrink(group);
        };
        if let Some(name) = group {
            if let Some(group) = self.groups.get_mut(name) {
                sweep(name, group);
            }
        } else {
            self.groups.iter_mut().for_each(|(name, group)| sweep(name, group));
        }
        self.groups.retain(|_, group| !group.is_empty());
        shrink(&mut self.groups);
        removed
    }

    /// Sets a value and marks it as seen. Returns the value that it replaces.
    pub fn insert(&mut self, group: &str, key: K, value: V) -> Option<V> {
        let entry = Entry { value, seen: self.mark };
        // Most groups exist already, and `entry` would copy the name each time.
        let replaced = if let Some(group) = self.groups.get_mut(group) {
            group.insert(key, entry)
        } else {
            self.groups.entry(Box::from(group)).or_default().insert(key, entry)
        };
        replaced.map(|entry| entry.value)
    }

    /// Marks a value as seen and returns it.
    pub fn see<Q>(&mut self, group: &str, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entry = self.groups.get_mut(group)?.get_mut(key)?;
        entry.seen = self.mark;
        Some(&mut entry.value)
    }

    /// Removes a value and returns it.
    pub fn remove<Q>(&mut self, group: &str, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let of = self.groups.get_mut(group)?;
        let entry = of.remove(key)?;
        if of.is_empty() {
            self.groups.remove(group);
            shrink(&mut self.groups);
        } else {
            shrink(of);
        }
        Some(entry.value)
    }

    /// Returns a value.
    pub fn get<Q>(&self, group: &str, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        Some(&self.groups.get(group)?.get(key)?.value)
    }

    /// Returns true if a group holds anything.
    pub fn contains_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Returns the names of the groups, in no order.
    pub fn group_names(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(|name| &**name)
    }

    /// Returns the content of a group, in no order.
    pub fn group(&self, group: &str) -> impl Iterator<Item = (&K, &V)> + Clone {
        self.groups.get(group).into_iter().flatten().map(|(key, entry)| (key, &entry.value))
    }

    /// Returns everything, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &K, &V)> {
        self.groups
            .iter()
            .flat_map(|(name, group)| group.iter().map(move |(key, entry)| (&**name, key, &entry.value)))
    }
}

/// Shrinks a map that is mostly unused. This is rare, so the amortized cost of an event stays constant.
pub(crate) fn shrink<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > SMALL && map.capacity() / 4 > map.len() {
        map.shrink_to(map.len() * 2);
    }
}

#[cfg(test)]
mod tests;
