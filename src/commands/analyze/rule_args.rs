//! The flags that choose the rules of an analysis, and the policy of `--policy`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::flags::{Flag, given};
use super::rules_file::RulesFileArgs;
use crate::commands::args::{bundle, is_bundle_path};
use crate::config::{Config, ConfigFile};
use crate::files;
use crate::policy::{self, EffectivePolicy};
use crate::terminal::note;
use crate::yaml::Repeated;

/// The rules of an analysis.
#[derive(Debug, Clone, clap::Args)]
#[command(group = clap::ArgGroup::new("choice").args(["rules", "bundle", "policy"]))]
pub(in crate::commands) struct RuleArgs {
    /// Evaluate these rules: default, recommended, all, ids or categories, with commas; -NAME takes rules away
    ///
    /// Findings of rules outside the default score are listed and count for --fail-on. They change neither the score
    /// nor compliance. If the first name has a + or -, the default rules come before it.
    #[arg(long, value_name = "RULES", allow_hyphen_values = true)]
    rules: Option<String>,

    /// Evaluate under a bundle: a name that `policy bundle-list` shows, or the path of a bundle of your own
    ///
    /// Violations of pss-baseline and pss-restricted are listed, but leave the score alone.
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<String>,

    /// Evaluate everything under the DevOpsPolicy or ClusterDevOpsPolicy in this file, in place of the default rules
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    #[command(flatten)]
    own: RulesFileArgs,
}

impl RuleArgs {
    /// Takes the choice of rules from a configuration file, unless a flag chooses.
    pub(super) fn fill(&mut self, file: &ConfigFile) -> anyhow::Result<()> {
        if self.rules.is_some() || self.bundle.is_some() || self.policy.is_some() {
            return Ok(());
        }
        let Config { rules, bundle: name, policy, .. } = &file.config;
        self.rules = rules.as_ref().map(|names| names.join(","));
        self.policy = policy.as_ref().map(|path| file.resolved(path));
        let place = || format!("{}: bundle", file.place("bundle").unwrap_or_default());
        if let Some(name) = name {
            let name =
                if is_bundle_path(name) { file.resolved(name).display().to_string() } else { name.clone() };
            bundle(&name).with_context(place)?;
            self.bundle = Some(name);
        }
        Ok(())
    }

    /// Returns the flags that are given, each with the setting that it beats.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let policy = self.policy.as_ref().map(|path| path.display().to_string());
        given([
            ("rules", "--rules", self.rules.clone()),
            ("bundle", "--bundle", self.bundle.clone()),
            ("policy", "--policy", policy),
        ])
    }

    /// Returns true if a DevOpsPolicy chooses the rules and their severities.
    pub(super) fn names_policy(&self) -> bool {
        self.policy.is_some()
    }

    /// Returns the rules that the flags choose.
    pub(super) fn policy(&self) -> anyhow::Result<EffectivePolicy> {
        self.own.add_to(self.chosen()?)
    }

    fn chosen(&self) -> anyhow::Result<EffectivePolicy> {
        if let Some(path) = &self.policy {
            return read_policy(path);
        }
        if let Some(name) = &self.bundle {
            return Ok(bundle(name).context("--bundle")?.policy().clone());
        }
        match &self.rules {
            Some(rules) => EffectivePolicy::select(rules).context("--rules"),
            None => Ok(EffectivePolicy::default()),
        }
    }
}

/// Reads a DevOpsPolicy from a file.
pub(super) fn read_policy(path: &Path) -> anyhow::Result<EffectivePolicy> {
    let place = || format!("policy {}", path.display());
    let text = match files::read_text(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{}: there is no such file", place()),
        read => read.with_context(place)?,
    };
    for Repeated { key, line } in policy::repeated_keys(&text) {
        note(format_args!("{}: line {line}: {}", place(), files::repeated_key(&key)))?;
    }
    let policy = EffectivePolicy::from_manifest(&text).with_context(place)?;
    if policy.rules().is_empty() {
        note(format_args!("{} turns no rule on, so nothing can violate it", place()))?;
    }
    Ok(policy)
}
