//! Finds, reads and merges the kubeconfig files, as client-go's `ClientConfigLoadingRules` does.

use super::environment::Environment;
use super::error::ConnectError;
use super::kubeconfig::Kubeconfig;
use std::io;
use std::path::{Path, PathBuf};

/// The merged kubeconfig and the files that it comes from.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) kubeconfig: Kubeconfig,
    /// The files, for messages.
    pub(super) from: String,
    /// The missing files, which are ignored.
    pub(super) missing: Vec<PathBuf>,
    /// True if any file exists.
    pub(super) found: bool,
}

impl Loaded {
    /// Reads the file of a flag, else those of `$KUBECONFIG`, else `~/.kube/config`.
    pub(super) fn read(flag: Option<&Path>, environment: &Environment) -> Result<Self, ConnectError> {
        if let Some(path) = flag.filter(|path| !path.as_os_str().is_empty()) {
            let mut loaded = Self { from: path.display().to_string(), ..Self::default() };
            loaded.add(path)?;
            return match loaded.missing.pop() {
                Some(path) => {
                    let reason = io::Error::from_raw_os_error(2);
                    Err(ConnectError::Unreadable { path, reason })
                }
                None => Ok(loaded),
            };
        }
        let (from, paths): (_, Vec<_>) = if let Some(list) = &environment.kubeconfig {
            ("of $KUBECONFIG", std::env::split_paths(list).collect())
        } else {
            let home = environment.home.as_ref().map(|home| home.join(".kube").join("config"));
            ("~/.kube/config", home.into_iter().collect())
        };
        let mut loaded = Self { from: from.to_owned(), ..Self::default() };
        for path in paths.iter().filter(|path| !path.as_os_str().is_empty()) {
            loaded.add(path)?;
        }
        Ok(loaded)
    }

    fn add(&mut self, path: &Path) -> Result<(), ConnectError> {
        match std::fs::read(path) {
            Ok(text) => {
                let kubeconfig = Kubeconfig::parse(&text, path)
                    .map_err(|reason| ConnectError::Broken { path: path.to_owned(), reason })?;
                self.kubeconfig.merge(kubeconfig);
                self.found = true;
                Ok(())
            }
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => {
                self.missing.push(path.to_owned());
                Ok(())
            }
            Err(reason) => Err(ConnectError::Unreadable { path: path.to_owned(), reason }),
        }
    }
}
