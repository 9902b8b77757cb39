//! A list that objects can share; it knows nothing of Kubernetes.

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

/// A list of one object, or one that several objects share.
#[derive(Clone)]
pub struct List<T>(Repr<T>);

#[derive(Clone)]
enum Repr<T> {
    Own(Vec<T>),
    Shared(Arc<[T]>),
}

impl<T> List<T> {
    /// Replaces the list by an equal one that is known, or by an exact copy, which is known from then on.
    pub(super) fn share(&mut self, known: &mut HashSet<Arc<[T]>>, copy: impl FnOnce(&[T]) -> Arc<[T]>)
    where
        T: Eq + Hash,
    {
        if self.is_empty() {
            *self = Self::default();
            return;
        }
        let shared = known.get(&**self).cloned().unwrap_or_else(|| {
            let new = copy(self);
            known.insert(Arc::clone(&new));
            new
        });
        self.0 = Repr::Shared(shared);
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Repr::Own(items) => items,
            Repr::Shared(items) => items,
        }
    }
}

/// Changes the items. Those of a shared list are copied first.
impl<T: Clone> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Repr::Own(items) => items,
            Repr::Shared(items) => Arc::make_mut(items),
        }
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self(Repr::Own(items))
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Vec::from_iter(items).into()
    }
}

impl<'l, T> IntoIterator for &'l List<T> {
    type Item = &'l T;
    type IntoIter = std::slice::Iter<'l, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for List<T> {}

impl<T: Hash> Hash for List<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (**self).hash(hasher);
    }
}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_list_is_equal_to_its_own_copy_and_is_copied_before_a_change() {
        let mut known = HashSet::<Arc<[i32]>>::new();
        let [mut a, mut b] = [List::from(vec![1, 2]), List::from(vec![1, 2])];
        for list in [&mut a, &mut b] {
            list.share(&mut known, |items| items.into());
        }
        assert_eq!((a.as_ptr(), known.len()), (b.as_ptr(), 1));
        assert_eq!(a, List::from(vec![1, 2]));
        b[1] = 3;
        assert_eq!((&*a, &*b), (&[1, 2][..], &[1, 3][..]));
        let mut none = List::<i32>::default();
        none.share(&mut known, |items| items.into());
        assert_eq!((none.len(), known.len()), (0, 1), "an empty list takes no memory");
    }
}
