//! Recognizes the directories that another program turns into manifests: Helm charts and kustomizations.

use std::path::{Path, PathBuf};

/// A directory that has to be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The directory, as the user would write it.
    pub directory: PathBuf,
    /// The kind of its content.
    pub kind: PackageKind,
    /// True if the user named the directory. Others were found in a directory above.
    pub named: bool,
}

/// The kind of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageKind {
    /// A Helm chart.
    Chart,
    /// A kustomization.
    Kustomization,
}

/// The file that makes a directory a chart.
pub const CHART_FILE: &str = "Chart.yaml";

/// The files that make a directory a kustomization, as in
/// [kustomize](https://github.com/kubernetes-sigs/kustomize/blob/api/v0.21.1/api/konfig/general.go).
const KUSTOMIZATION_FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

impl Package {
    /// Returns the package in a directory, if its files make it one.
    pub(super) fn at(directory: &Path, named: bool) -> Option<Self> {
        let kind = if directory.join(CHART_FILE).is_file() {
            PackageKind::Chart
        } else if kustomization_file(directory).is_some() {
            PackageKind::Kustomization
        } else {
            return None;
        };
        Some(Self { directory: directory.to_owned(), kind, named })
    }
}

/// Returns the path of the file that makes a directory a kustomization.
pub fn kustomization_file(directory: &Path) -> Option<PathBuf> {
    KUSTOMIZATION_FILES.iter().map(|name| directory.join(name)).find(|path| path.is_file())
}
