//! The fields that are read from objects: those of the default rules, or more.
//!
//! Serde's derived code can't be told which fields to skip. So the choice is kept for the thread while it parses, and
//! [`detail`] looks it up for each field that only other rules read.

use std::cell::Cell;

use serde::de::{Deserialize, Deserializer, IgnoredAny};

use super::{Kinds, WorkloadKind, WorkloadKinds};

/// The fields that are read from objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fields {
    /// The fields that the rules of the default score read.
    #[default]
    Default,
    /// Every field that a rule reads by its name.
    Details,
    /// The same, and every annotation. A parameter of a rule can name any of them.
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

    /// Returns the fields that these and others have together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let (kinds, raw) =
            (self.kinds_read().union(other.kinds_read()), self.raw_kinds().union(other.raw_kinds()));
        if !raw.is_empty() {
            Self::Raw(kinds, raw)
        } else if !kinds.is_empty() {
            Self::With(kinds)
        } else {
            self.max(other)
        }
    }

    /// Returns the fields that are read from workloads of one kind, as a watch does.
    #[must_use]
    pub fn of_kind(self, kind: WorkloadKind) -> Self {
        match self {
            Self::Default | Self::Details => self,
            Self::Raw(_, raw) if raw.contains(kind) => Self::Raw(Kinds::default(), WorkloadKinds::of([kind])),
            Self::All | Self::With(_) | Self::Raw(..) => Self::All,
        }
    }

    /// Runs `parse` for a part of an object that an API server stored.
    pub(super) fn of_stored<T>(parse: impl FnOnce() -> T) -> T {
        CHOICE.get().needed.within(parse)
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

    /// Returns true if the thread parses every field that a rule reads by its name.
    pub(super) fn are_all() -> bool {
        Self::current() != Self::Default
    }

    /// Returns true if the thread parses every annotation.
    pub(super) fn have_annotations() -> bool {
        Self::current() >= Self::All
    }

    /// Returns the kinds of objects beside workloads that the thread reads.
    pub(super) fn kinds() -> Kinds {
        Self::current().kinds_read()
    }

    fn kinds_read(self) -> Kinds {
        match self {
            Self::With(kinds) | Self::Raw(kinds, _) => kinds,
            Self::Default | Self::Details | Self::All => Kinds::default(),
        }
    }

    /// Returns the kinds of workloads whose JSON the thread keeps.
    pub(super) fn raw() -> WorkloadKinds {
        Self::current().raw_kinds()
    }

    fn raw_kinds(self) -> WorkloadKinds {
        match self {
            Self::Raw(_, kinds) => kinds,
            Self::Default | Self::Details | Self::All | Self::With(_) => WorkloadKinds::default(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;

    #[test]
    fn the_union_of_fields_has_the_fields_of_both() {
        use super::super::Kind;
        let (kinds, raw) = (Kinds::of(&[Kind::Service]), WorkloadKinds::of([WorkloadKind::Pod]));
        let (with, json) = (Fields::With(kinds), Fields::Raw(Kinds::default(), raw));
        for (a, b, both) in [
            (Fields::Default, Fields::Default, Fields::Default),
            (Fields::Default, Fields::Details, Fields::Details),
            (Fields::Details, Fields::All, Fields::All),
            (Fields::All, with, with),
            (with, json, Fields::Raw(kinds, raw)),
        ] {
            assert_eq!((a.union(b), b.union(a)), (both, both), "{a:?} and {b:?}");
        }
        assert_eq!(with.union(json).of_kind(WorkloadKind::Pod), json);
        assert_eq!(with.union(json).of_kind(WorkloadKind::Job), Fields::All);
    }

    #[test]
    fn a_workload_says_with_which_fields_it_was_read() {
        let kind = WorkloadKind::Deployment;
        let raw = Fields::Raw(Kinds::default(), WorkloadKinds::of([kind]));
        let fields = [Fields::Default, Fields::Details, Fields::All, raw];
        for (place, read) in fields.into_iter().enumerate() {
            let workload = Workload::from_json_with(read, kind, r#"{"metadata": {"name": "web"}}"#).unwrap();
            let are_in = fields.map(|fields| workload.has(fields));
            assert_eq!(are_in, [true, place >= 1, place >= 2, place >= 3], "{read:?}");
        }
    }
}
