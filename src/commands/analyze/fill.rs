//! The settings of a run: those of the configuration file, where no flag beats them, and what follows from both.

use super::Args;
use super::manifests::ManifestArgs;
use crate::cluster::{ConnectOptions, Overrides};
use crate::config::ConfigFile;
use crate::governance::{Exemptions, Thresholds};
use crate::policy::EffectivePolicy;

impl Args {
    /// Reads the configuration file, takes from it what no flag says, and returns the policy and the exemptions.
    pub(super) fn configure(&mut self) -> anyhow::Result<(EffectivePolicy, Exemptions)> {
        let Some(file) = self.config.read()? else {
            return Ok((self.rules.policy()?, Exemptions::default()));
        };
        self.rules.fill(&file)?;
        self.gates.fill(&file);
        self.baseline.fill(&file);
        self.manifests.fill(&file, !self.names_cluster())?;
        let mut policy = self.rules.policy()?;
        // A DevOpsPolicy has severities of its own.
        if !self.rules.names_policy() {
            policy = policy.with_severities(&file.config.severities);
        }
        Ok((policy, file.exemptions()?))
    }

    /// Returns true if a flag names a cluster.
    fn names_cluster(&self) -> bool {
        let ConnectOptions { kubeconfig, overrides, .. } = self.connect.options();
        let Overrides { context, cluster, user, server, .. } = overrides;
        kubeconfig.is_some() || [context, cluster, user, server].iter().any(Option::is_some)
    }

    /// Returns true if the violations are needed, and not only their counts.
    pub(super) fn keeps_violations(&self) -> bool {
        self.outputs.shows_violations() || self.baseline.needs_violations() || self.compare.inputs().is_some()
    }

    /// Returns the thresholds that apply; none if all findings are accepted into a baseline.
    pub(super) fn thresholds(&self, has_baseline: bool) -> Thresholds {
        if self.baseline.accepts_findings() {
            Thresholds::default()
        } else {
            self.gates.thresholds(has_baseline)
        }
    }
}

impl ManifestArgs {
    /// Takes the ignored paths from a file, and with `inputs` the manifests, unless a flag names some.
    fn fill(&mut self, file: &ConfigFile, inputs: bool) -> anyhow::Result<()> {
        self.ignores = file.ignores()?;
        if inputs && self.is_empty() {
            let paths = file.config.inputs.iter().flatten();
            self.paths = paths.map(|path| file.resolved(path)).collect();
            self.recursive |= file.config.recursive.unwrap_or_default();
        }
        Ok(())
    }
}
