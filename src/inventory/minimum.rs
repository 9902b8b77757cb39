//! The least number of pods of a workload.

/// The least number of pods that a workload has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Minimum {
    /// The number.
    Known(i64),
    /// An autoscaler that is not in the input may decide.
    Unknown,
    /// The kind has no number of replicas, as a `DaemonSet`.
    None,
}

impl Minimum {
    /// Returns the number, where it is known.
    pub fn known(self) -> Option<i64> {
        match self {
            Self::Known(number) => Some(number),
            Self::Unknown | Self::None => None,
        }
    }
}
