//! How often random faults happen: a few times, or with `KUBE_DEVOPS_SOAK=1` as often as it takes to trust the outcome.

/// Tells whether `make soak` runs the tests.
pub(crate) fn soak() -> bool {
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    std::env::var_os("KUBE_DEVOPS_SOAK").is_some_and(|value| value == "1")
}

/// Chooses between a few and many.
pub(crate) fn rounds(few: usize, many: usize) -> usize {
    if soak() { many } else { few }
}
