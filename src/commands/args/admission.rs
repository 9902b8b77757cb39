//! The form of admission that the operator serves.

/// The value of `reconcile --admission`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum AdmissionMode {
    /// ValidatingAdmissionPolicies in the API server
    Native,
    /// None
    #[default]
    Off,
}
