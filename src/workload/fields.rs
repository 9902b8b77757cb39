//! The fields that are read from objects: those of the default rules, or all that any rule reads.
//!
//! Serde's derived code can't be told which fields to skip. So the choice is kept for the thread while it parses, and
//! [`detail`] looks it up for each field that only other rules read.

use std::cell::Cell;

use serde::de::{Deserialize, Deserializer, IgnoredAny};

use super::{Kinds, WorkloadKinds};

/// The fields that are read from objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fields {
    /// The fields that the rules of the default score read.
    #[default]
    Default,
    /// Every field that a rule reads.
    All,
    /// Every field that a rule reads, and objects of these kinds that are no workloads.
    With(Kinds),
    /// The same, and the JSON of workloads of these kinds.
    Raw(Kinds, WorkloadKinds),
}

/// The choice of a thread.
#[derive(Clone, Copy)]
struct Choice {
    /// The fields that are parsed.
    parsed: Fields,
    /// The fields that are needed. Others may be parsed for their types alone.
    needed: Fields,
}

impl Choice {
    fn within<T>(self, parse: impl FnOnce() -> T) -> T {
        /// Restores the former choice, even after a panic.
        struct Restore(Choice);

        impl Drop for Restore {
            fn drop(&mut self) {
                CHOICE.set(self.0);
            }
        }

        let _restore = Restore(CHOICE.replace(self));
        parse()
    }
}

thread_local! {
    static CHOICE: Cell<Choice> =
        const { Cell::new(Choice { parsed: Fields::Default, needed: Fields::Default }) };
}

impl Fields {
    /// Runs `parse`. Everything that it parses on this thread has these fields.
    pub fn within<T>(self, parse: impl FnOnce() -> T) -> T {
        Choice { parsed: self, needed: self }.within(parse)
    }

    /// Runs `parse`, which also checks the types of fields that no rule reads.
    ///
    /// An object with a uid is exempt from the check: an API server stored it, and refuses wrong types.
    pub fn within_checked<T>(self, parse: impl FnOnce() -> T) -> T {
        Choice { parsed: self.max(Self::All), needed: self }.within(parse)
    }

    /// Runs `parse` for a part of an object that an API server stored.
    pub(super) fn of_stored<T>(parse: impl FnOnce() -> T) -> T {
        CHOICE.get().needed.within(parse)
    }

    /// Returns the fields of both choices.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let parts = |fields: Self| match fields {
            Self::Default | Self::All => (Kinds::default(), WorkloadKinds::default()),
            Self::With(kinds) => (kinds, WorkloadKinds::default()),
            Self::Raw(kinds, raw) => (kinds, raw),
        };
        let ((kinds, raw), (others, other_raw)) = (parts(self), parts(other));
        match self.max(other) {
            Self::Raw(..) => Self::Raw(kinds.union(others), raw.union(other_raw)),
            Self::With(_) => Self::With(kinds.union(others)),
            fields => fields,
        }
    }

    fn current() -> Self {
        CHOICE.get().parsed
    }

    /// Runs `parse` with the fields of the thread, but keeps no JSON.
    pub(super) fn kept_without_raw<T>(parse: impl FnOnce() -> T) -> T {
        let fields = match Self::current() {
            Self::Raw(kinds, _) => Self::With(kinds),
            fields => fields,
        };
        fields.within(parse)
    }

    /// Returns true if the thread parses every field.
    pub(super) fn are_all() -> bool {
        Self::current() != Self::Default
    }

    /// Returns the kinds of objects beside workloads that the thread reads.
    pub(super) fn kinds() -> Kinds {
        match Self::current() {
            Self::With(kinds) | Self::Raw(kinds, _) => kinds,
            Self::Default | Self::All => Kinds::default(),
        }
    }

    /// Returns the kinds of workloads whose JSON the thread keeps.
    pub(super) fn raw() -> WorkloadKinds {
        match Self::current() {
            Self::Raw(_, kinds) => kinds,
            Self::Default | Self::All | Self::With(_) => WorkloadKinds::default(),
        }
    }
}

/// Reads a field that the default rules don't need: its default unless every field is read. Null counts as absent.
pub(super) fn detail<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    if Fields::are_all() {
        Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
    } else {
        IgnoredAny::deserialize(deserializer)?;
        Ok(T::default())
    }
}

/// Reads a field of an object that is itself a detail. Null counts as absent.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
