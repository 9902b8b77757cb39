//! Colours, each with one meaning everywhere.

use anstyle::{AnsiColor, Style};

use crate::governance::Classification;
use crate::rules::Severity;

/// The label of an error; the same as that of the command line's parser.
pub(super) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The label of a threshold that was not met.
pub(super) const FAILED: Style = AnsiColor::Red.on_default().bold();
/// The label of a note.
pub(super) const NOTE: Style = AnsiColor::Cyan.on_default().bold();
/// A cell that says no.
pub(super) const NO: Style = AnsiColor::Red.on_default().bold();

/// Returns the style of a severity.
pub(super) fn severity(severity: Severity) -> Style {
    match severity {
        Severity::Critical => AnsiColor::Red.on_default().bold(),
        Severity::High => AnsiColor::Red.on_default(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::Low => AnsiColor::Cyan.on_default(),
    }
}

/// Returns the style of a class of scores.
pub(super) fn classification(class: Classification) -> Style {
    let colour = match class {
        Classification::Healthy => AnsiColor::Green,
        Classification::Stable => AnsiColor::Cyan,
        Classification::Degraded => AnsiColor::Yellow,
        Classification::Critical => AnsiColor::Red,
    };
    colour.on_default().bold()
}
