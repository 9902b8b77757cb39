//! The flags for the manifests to evaluate.

use std::path::PathBuf;

use super::changed_args::ChangedArgs;
use super::render_args::RenderArgs;
use crate::commands::args::ConnectArgs;
use crate::files::{Ignores, Inputs};

/// The manifests to evaluate.
#[derive(Debug, clap::Args)]
pub(super) struct ManifestArgs {
    /// Evaluate manifests: files, directories, URLs or quoted patterns, or - for standard input (repeatable, or with commas)
    #[arg(short = 'f', long, value_name = "PATH", allow_hyphen_values = true, conflicts_with_all = ConnectArgs::FLAGS)]
    filename: Vec<PathBuf>,
    /// The same as -f
    #[arg(value_name = "PATH", conflicts_with_all = ConnectArgs::FLAGS)]
    pub(super) paths: Vec<PathBuf>,
    /// Read subdirectories too
    #[arg(short = 'R', long)]
    pub(super) recursive: bool,

    /// Take the manifests for everything there will be, so that rules report objects that are missing
    #[arg(long)]
    pub(super) complete: bool,

    #[command(flatten)]
    pub(super) render: RenderArgs,

    #[command(flatten)]
    pub(super) changed: ChangedArgs,

    /// The files that are not read, by the configuration file.
    #[arg(skip)]
    pub(super) ignores: Option<Ignores>,
}

impl ManifestArgs {
    /// Returns true if no manifests are named.
    pub(super) fn is_empty(&self) -> bool {
        self.filename.is_empty() && self.paths.is_empty()
    }

    /// Returns the commit since which changes are reported; `None` if everything is reported.
    pub(super) fn changed_since(&self) -> Option<&str> {
        self.changed.changed_since.as_deref()
    }

    /// Returns the manifests; without any in a directory, that is no error if they may be empty.
    pub(super) fn inputs(&self, may_be_empty: bool) -> Inputs {
        Inputs {
            paths: [&*self.filename, &*self.paths].concat(),
            recursive: self.recursive,
            packages: self.render.renders(),
            may_be_empty,
            ignores: self.ignores.clone(),
        }
    }
}
