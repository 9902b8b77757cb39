//! The number of random faults: a few by default, many with `KUBE_DEVOPS_SOAK=1`.

/// Returns true under `make soak`.
pub(crate) fn soak() -> bool {
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    std::env::var_os("KUBE_DEVOPS_SOAK").is_some_and(|value| value == "1")
}

/// Returns `few` by default and `many` under `make soak`.
pub(crate) fn rounds(few: usize, many: usize) -> usize {
    if soak() { many } else { few }
}
