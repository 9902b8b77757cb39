//! The flag for a file with rules of your own.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::files;
use crate::policy::{self, EffectivePolicy};
use crate::terminal::note;

/// The rules of your own.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::commands) struct RulesFileArgs {
    /// Evaluate the rules of your own in this file too: expressions in CEL, in the form of a policy's customRules
    ///
    /// Their findings are listed, and count for --fail-on, but leave the score alone. In a DevOpsPolicy they have a weight.
    #[arg(long, value_name = "FILE")]
    rules_file: Option<PathBuf>,
}

impl RulesFileArgs {
    /// Adds the rules of the file to others.
    pub(super) fn add_to(&self, policy: EffectivePolicy) -> anyhow::Result<EffectivePolicy> {
        let Some(path) = &self.rules_file else { return Ok(policy) };
        let place = || format!("--rules-file {}", path.display());
        let text = match files::read_text(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => bail!("{}: there is no such file", place()),
            read => read.with_context(place)?,
        };
        for repeated in policy::repeated_keys(&text) {
            let message = files::repeated_key(&repeated.key);
            note(format_args!("{}: line {}: {message}", place(), repeated.line))?;
        }
        let rules = policy::custom_rules(&text).with_context(place)?;
        policy.with_custom_rules(&rules).with_context(place)
    }
}
