//! Reads the policies of files for `policy import` and `policy diff`.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};

use crate::files::{self, Inputs};
use crate::policy::{PolicyDocument, PolicyDocuments, repeated_keys};
use crate::terminal::note;

/// Returns a subdirectory of the directories among the paths that is not read.
pub(super) fn unread_subdirectory(paths: &[PathBuf], recursive: bool) -> Option<PathBuf> {
    let mut entries =
        paths.iter().filter(|_| !recursive).filter_map(|path| std::fs::read_dir(path).ok()).flatten();
    entries.find_map(|entry| Some(entry.ok()?.path()).filter(|path| path.is_dir()))
}

/// Reads and validates the policies at paths, and notes the objects of other kinds.
pub(super) fn read(paths: &[PathBuf], recursive: bool) -> anyhow::Result<Vec<PolicyDocument>> {
    let (policies, notes) = read_quietly(paths, recursive)?;
    notes.iter().try_for_each(note)?;
    Ok(policies)
}

/// Reads and validates the policies at paths. Returns notes about the rest of the input, too.
pub(super) fn read_quietly(
    paths: &[PathBuf],
    recursive: bool,
) -> anyhow::Result<(Vec<PolicyDocument>, Vec<String>)> {
    let (mut policies, mut notes): (Vec<PolicyDocument>, Vec<String>) = (Vec::new(), Vec::new());
    for source in (Inputs { paths: paths.to_vec(), recursive, ..Inputs::default() }).sources() {
        let source = source.map_err(|failure| anyhow!("{}: {}", failure.source, failure.message))?;
        let text = source.text().with_context(|| source.name())?;
        for repeated in repeated_keys(&text) {
            let problem = files::repeated_key(&repeated.key);
            notes.push(format!("{}: line {}: {problem}", source.name(), repeated.line));
        }
        let found = PolicyDocuments::read(&text).with_context(|| source.name())?;
        if !found.other_kinds.is_empty() {
            let mut kinds = found.other_kinds;
            kinds.sort();
            kinds.dedup();
            let kinds = kinds.join(", ");
            notes.push(format!("{}: left out objects of other kinds: {kinds}", source.name()));
        }
        for policy in found.policies {
            if policies.iter().any(|other| other.key() == policy.key()) {
                bail!(
                    "{}: policy {} is in the input twice: take one out",
                    source.name(),
                    policy.shown_name()
                );
            }
            policies.push(policy);
        }
    }
    policies.sort_by_key(PolicyDocument::key);
    Ok((policies, notes))
}
