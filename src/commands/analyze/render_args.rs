//! The flags for charts and kustomizations among the manifests.

use std::path::PathBuf;

use anyhow::bail;
use clap::ValueEnum;

use crate::files::{Inputs, Listed, PackageKind};
use crate::render::{self, Options, Rendering};

/// The rendering of charts and kustomizations.
#[derive(Debug, clap::Args)]
pub(super) struct RenderArgs {
    /// Render a directory with a Chart.yaml or kustomization.yaml, or read its files as they are
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    render: Render,

    /// Render charts with the values in this file (repeatable); without it, each file ci/*-values.yaml makes a variant
    #[arg(long, value_name = "FILE")]
    helm_values: Vec<PathBuf>,

    /// Render charts with this value, as KEY=VALUE in the notation of helm (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    helm_set: Vec<String>,
}

/// The decision to render.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Render {
    /// Render with the helm, kustomize or kubectl that is installed
    #[default]
    Auto,
    /// Read the files as they are
    Never,
}

impl RenderArgs {
    /// Returns true if charts and kustomizations are rendered.
    pub(super) fn renders(&self) -> bool {
        self.render == Render::Auto
    }

    /// Returns true if a flag differs from its default.
    pub(super) fn is_given(&self) -> bool {
        !self.renders() || !self.helm_values.is_empty() || !self.helm_set.is_empty()
    }

    /// Lists the inputs, and renders the packages among them; `namespace` is that of objects without one.
    ///
    /// Fails if values are given without a chart, or if a file with values is missing.
    pub(super) fn render(&self, inputs: &Inputs, namespace: &str) -> anyhow::Result<Rendering> {
        if let Some(file) = self.helm_values.iter().find(|file| !file.is_file()) {
            bail!(
                "--helm-values {}: there is no such file; values are read from local files only",
                file.display()
            );
        }
        let listed = inputs.list();
        let is_chart = |listed: &Listed| matches!(listed, Listed::Package(package) if package.kind == PackageKind::Chart);
        let has_values = !self.helm_values.is_empty() || !self.helm_set.is_empty();
        if has_values && !listed.iter().any(is_chart) {
            bail!(
                "--helm-values and --helm-set are for charts, and no directory with a Chart.yaml is rendered"
            );
        }
        let options = Options {
            values: self.helm_values.clone(),
            set: self.helm_set.clone(),
            namespace: namespace.to_owned(),
            ignores: inputs.ignores.as_ref().map(|ignores| ignores.patterns.clone()),
        };
        Ok(render::render(listed, &options)?)
    }
}
