//! The flags that are given, for the list of settings.

/// A flag that is given: the key of the setting that it beats, the flag, and the value.
pub(super) type Flag = (&'static str, &'static str, String);

/// Returns the flags that have a value.
pub(super) fn given<const N: usize>(flags: [(&'static str, &'static str, Option<String>); N]) -> Vec<Flag> {
    flags.into_iter().filter_map(|(key, flag, value)| Some((key, flag, value?))).collect()
}
