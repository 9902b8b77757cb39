//! The lines that `policy import` prints for its steps.

use std::io::Write as _;

use crate::policies::ImportStep;
use crate::terminal::{self, to_stdout};

/// Prints the line of a step.
pub(super) fn print(step: &ImportStep, is_dry_run: bool) -> std::io::Result<()> {
    let dry_run = if is_dry_run { " (dry run)" } else { "" };
    match step {
        ImportStep::Applied(policy, applied) => {
            to_stdout(|out| writeln!(out, "policy {policy} {applied}{dry_run}"))
        }
        ImportStep::Pruned(policy) => to_stdout(|out| writeln!(out, "policy {policy} pruned{dry_run}")),
        ImportStep::Failed(policy, error) => {
            terminal::error(format_args!("cannot import policy {policy}: {error}"))
        }
        ImportStep::OtherSet(policy, set) => terminal::error(format_args!(
            "cannot import policy {policy}: it belongs to the set {set:?}: remove it from that set's files, and \
             remove its label devops.stochastic.io/policy-set"
        )),
    }
}
