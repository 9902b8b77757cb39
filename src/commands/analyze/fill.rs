//! The settings of a run: those of the configuration file, where no flag beats them, and what follows from both.

use anyhow::bail;

use super::Args;
use super::evaluator::Request;
use super::manifest_args::ManifestArgs;
use crate::cluster::{ConnectOptions, Overrides};
use crate::config::ConfigFile;
use crate::governance::{Exemptions, Scope, Thresholds};
use crate::policy::EffectivePolicy;

impl Args {
    /// Reads the configuration file, takes from it what no flag says, and returns the policy and the exemptions.
    pub(super) fn configure(&mut self) -> anyhow::Result<(EffectivePolicy, Exemptions)> {
        self.outputs.check()?;
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

    /// Returns the flags that leave something out, each as one text.
    pub(super) fn filters(&self) -> Vec<String> {
        let changed = self.manifests.changed_since().map(|commit| format!("--changed-since={commit}"));
        self.scope.filters().into_iter().chain(changed).collect()
    }

    /// Returns true if the violations are needed, and not only their counts.
    pub(super) fn keeps_violations(&self) -> bool {
        self.outputs.shows_violations() || self.baseline.needs_violations() || self.compare.inputs().is_some()
    }

    /// Returns the thresholds that apply; none if all findings are accepted into a baseline.
    pub(super) fn thresholds(&self, has_baseline: bool) -> Thresholds {
        let thresholds = if self.baseline.accepts_findings() {
            Thresholds::default()
        } else {
            self.gates.thresholds(has_baseline)
        };
        // A pull request may change no manifest.
        let allow_empty = thresholds.allow_empty || self.manifests.changed_since().is_some();
        Thresholds { allow_empty, ..thresholds }
    }

    /// Returns the way to read the manifests.
    pub(super) fn request<'s>(&self, scope: &'s Scope) -> Request<'s> {
        Request {
            namespace: scope.default_namespace(),
            lines: self.outputs.shows_violations(),
            allow_empty: self.thresholds(false).allow_empty,
        }
    }
}

impl ManifestArgs {
    /// Refuses flags for manifests where there are none.
    pub(super) fn check_flags(&self) -> anyhow::Result<()> {
        let changed_since = self.changed.changed_since.is_some();
        if self.recursive || self.complete || changed_since || self.render.is_given() {
            bail!(
                "-R, --complete, --changed-since, --render, --helm-values and --helm-set are for manifests: name them \
                 with -f, or as inputs in .kube-devops.yaml"
            );
        }
        Ok(())
    }

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
