//! The flags for the configuration file of a project.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::config::ConfigFile;

/// The configuration file.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::commands) struct ConfigArgs {
    /// Configuration file [default: .kube-devops.yaml in the working directory or the nearest one above]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Read no configuration file
    #[arg(long, conflicts_with = "config")]
    no_config: bool,
}

impl ConfigArgs {
    /// Reads the configuration file, if there is one.
    pub(in crate::commands) fn read(&self) -> anyhow::Result<Option<ConfigFile>> {
        if self.no_config {
            return Ok(None);
        }
        let found = match &self.config {
            Some(path) => Some(path.clone()),
            // Without a working directory there is nothing to find.
            None => std::env::current_dir().ok().and_then(|directory| ConfigFile::find(&directory)),
        };
        found
            .map(|path| ConfigFile::read(&path).with_context(|| format!("configuration {}", path.display())))
            .transpose()
    }
}
