//! Texts that are kept once; this module knows nothing of Kubernetes.
//!
//! A copy of an object visits each of its texts, as no other code does without a list of all fields. So the texts that
//! copies share are kept for the thread while it copies, and the clone of a text looks them up.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

/// Texts that are kept once.
#[derive(Debug, Default)]
pub(super) struct Texts(HashSet<Arc<str>>);

thread_local! {
    /// The texts that clones share while this thread copies.
    static CURRENT: RefCell<Option<Texts>> = const { RefCell::new(None) };
}

impl Texts {
    /// Runs `copy`. Each text that it clones on this thread is replaced by the equal one that is kept.
    pub(super) fn within<T>(&mut self, copy: impl FnOnce() -> T) -> T {
        /// Takes the texts back, even after a panic.
        struct Restore<'t>(&'t mut Texts);

        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                *self.0 = CURRENT.take().unwrap_or_default();
            }
        }

        let restore = Restore(self);
        CURRENT.set(Some(std::mem::take(restore.0)));
        copy()
    }

    /// Returns the text that clones of a text share: the text itself, unless this thread copies.
    pub(super) fn of_clone(text: &Arc<str>) -> Arc<str> {
        CURRENT.with_borrow_mut(|current| match current {
            None => Arc::clone(text),
            Some(texts) => texts.keep(text),
        })
    }

    /// Returns the text that is kept.
    pub(super) fn keep(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        self.0.insert(Arc::clone(text));
        Arc::clone(text)
    }

    /// Returns the kept copy of a text.
    pub(super) fn copy(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        self.keep(&text.into())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Drops the texts that nobody else holds.
    pub(super) fn sweep(&mut self) {
        self.0.retain(|text| Arc::strong_count(text) > 1);
        self.0.shrink_to_fit();
    }
}
