//! The reasons why a bundle cannot be used.

use super::PolicyManifestError;

/// The reason why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file is not valid YAML or JSON.
    #[error(transparent)]
    Manifest(#[from] PolicyManifestError),
    /// A bundle in a file has an invalid field.
    #[error("the bundle from line {line}: {problem}")]
    Source {
        /// The first line of the bundle, from 1.
        line: usize,
        /// The field, and its problem.
        problem: String,
    },
    /// No bundle has this name.
    #[error("there is no bundle {name:?}; the bundles are {}", known.join(", "))]
    Unknown {
        /// The given name.
        name: String,
        /// The names of all bundles.
        known: Vec<String>,
    },
    /// Two bundles have the same name.
    #[error("two bundles are called {0:?}: rename one; the names of the built-in bundles are taken")]
    Repeated(String),
    /// A bundle extends one that does not exist.
    #[error("bundle {bundle:?}: extends: there is no bundle {name:?}; the bundles are {}", known.join(", "))]
    UnknownParent {
        /// The bundle.
        bundle: String,
        /// The name of the missing bundle.
        name: String,
        /// The names of all bundles.
        known: Vec<String>,
    },
    /// A bundle extends itself, possibly by way of others.
    #[error("extends: bundles extend each other in a circle: {}", .0.join(", "))]
    Circle(Vec<String>),
    /// A bundle excludes a rule that it does not have.
    #[error("bundle {bundle:?}: exclude: {problem}")]
    Exclude {
        /// The bundle.
        bundle: String,
        /// The problem, and how to fix it.
        problem: String,
    },
    /// The resulting spec is invalid.
    #[error("bundle {bundle:?}: {error}")]
    Spec {
        /// The bundle.
        bundle: String,
        /// The invalid fields.
        error: PolicyManifestError,
    },
}
