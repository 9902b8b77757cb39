//! Prints the result of an undo.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use super::Text;
use crate::enforcement::UndoResult;

/// Writes a line for the removed fields, and one for each field that concerns other managers.
pub fn undone(undone: &UndoResult, out: &mut Text<'_>) -> io::Result<()> {
    let UndoResult { workload, is_preview, is_rest, gone, tuned, stays, .. } = undone;
    let workload = workload.kubectl_arguments();
    let (removed, was_removed, stay) = if *is_preview {
        ("would remove", "would be removed", "would stay")
    } else {
        ("removed", "was removed", "stays")
    };
    if *is_rest || !gone.is_empty() {
        let names: Vec<String> = gone.iter().map(ToString::to_string).collect();
        let names = if *is_rest { "the rest of a patch".to_owned() } else { names.join(", ") };
        writeln!(out, "{workload}: {removed} {names}")?;
    }
    for (field, managers) in tuned {
        writeln!(out, "{workload}: {field} {was_removed}, with the settings of {}", list(managers))?;
    }
    for (field, managers) in stays {
        writeln!(out, "{workload}: {field} {stay}, because {} set the same value", list(managers))?;
    }
    Ok(())
}

fn list(managers: &BTreeSet<String>) -> String {
    managers.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
