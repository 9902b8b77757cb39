//! Equal values that are kept once.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Equal values that are kept once.
#[derive(Debug)]
pub(super) struct Shared<T: ?Sized> {
    values: HashTable<Arc<T>>,
    hasher: DefaultHashBuilder,
}

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self { values: HashTable::new(), hasher: DefaultHashBuilder::default() }
    }
}

impl<T: Hash + ?Sized> Shared<T> {
    /// Returns the kept value that is equal to a new one, and makes one if there is none.
    ///
    /// The new value may borrow its texts: it is hashed and compared before anything is copied.
    pub(super) fn share<N: Hash + ?Sized>(
        &mut self,
        new: &N,
        is_equal: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Arc<T>,
    ) -> Arc<T> {
        let Self { values, hasher } = self;
        let hash = hasher.hash_one(new);
        if let Some(known) = values.find(hash, |known| is_equal(known)) {
            return Arc::clone(known);
        }
        let kept = make();
        values.insert_unique(hash, Arc::clone(&kept), |value| hasher.hash_one(&**value));
        kept
    }
}

impl Shared<str> {
    /// Returns a shared copy of a text.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        self.share(text, |known| known == text, || text.into())
    }
}
