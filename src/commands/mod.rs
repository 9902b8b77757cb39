//! The commands: arguments in, output and an exit status out.

pub mod args;
pub mod check;
pub mod list;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// All was done, and all is well: 0.
    Clean,
    /// All was done, and something is past its threshold: 1.
    Findings,
    /// Not all could be done: 2.
    Failed,
}
