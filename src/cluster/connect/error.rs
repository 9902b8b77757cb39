//! The reasons why there is no client. Each names the place and the fix.
//!
//! An error's text includes its reason. A `source` as well would repeat it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The reason why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No cluster is configured.
    #[error(
        "no cluster: --kubeconfig wasn't given, $KUBECONFIG isn't set, {looked} doesn't exist, and this is not a \
         pod; to analyze manifests without a cluster: kube-devops analyze -f FILE"
    )]
    NoKubeconfig {
        /// The default file.
        looked: String,
    },
    /// A named kubeconfig can't be read.
    #[error("cannot read the kubeconfig {}: {reason}; check --kubeconfig and $KUBECONFIG", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// A kubeconfig is invalid.
    #[error("the kubeconfig {} can't be used: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The reason and the fix.
        reason: String,
    },
    /// The requested context doesn't exist.
    #[error("no context {name:?} in the kubeconfig {from}; it has {}", names(known))]
    UnknownContext {
        /// The name.
        name: String,
        /// The source of the kubeconfig.
        from: String,
        /// The existing contexts.
        known: Vec<String>,
    },
    /// The cluster or user that a flag or a context names doesn't exist.
    #[error(
        "{place} names the {kind} {name:?}, which the kubeconfig {from} doesn't have; it has {}",
        names(known)
    )]
    UnknownEntry {
        /// The flag or the field with the name.
        place: String,
        /// `cluster` or `user`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The source of the kubeconfig.
        from: String,
        /// The existing names.
        known: Vec<String>,
    },
    /// There is no current context, and none was requested.
    #[error(
        "the kubeconfig {from} has no current context: choose one with --context; it has {}",
        names(known)
    )]
    NoContext {
        /// The source of the kubeconfig.
        from: String,
        /// The existing contexts.
        known: Vec<String>,
    },
    /// The files that the environment names don't exist.
    #[error(
        "no cluster: none of the files in $KUBECONFIG exists ({}): correct it, or give --kubeconfig",
        paths(missing)
    )]
    MissingKubeconfig {
        /// The files.
        missing: Vec<PathBuf>,
    },
    /// The configuration is valid, but building the client failed.
    #[error("cannot make a client for {server}: {reason}")]
    Client {
        /// The address of the API server.
        server: String,
        /// The reason.
        reason: String,
    },
    /// A field or a flag has an unusable value.
    #[error("{place}: {problem}")]
    Field {
        /// The field or the flag.
        place: Place,
        /// The reason and the fix.
        problem: String,
    },
    /// This is a pod, and its service account can't be used.
    #[error(
        "this pod's service account can't be used: {0}; is automountServiceAccountToken false in the pod or its account?"
    )]
    InCluster(String),
    /// The exec plugin of the kubeconfig returned no credentials.
    #[error("cannot get credentials for {server}: {reason}")]
    Credentials {
        /// The address of the API server.
        server: String,
        /// The reason and the fix.
        reason: String,
    },
}

/// A flag, or a field of a kubeconfig.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A flag of the command line.
    Flag(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// A file of a pod's service account.
    Account(&'static str),
    /// A field of an entry in a kubeconfig.
    Field {
        /// The kubeconfig file.
        file: PathBuf,
        /// `cluster`, `user` or `context`.
        kind: &'static str,
        /// The name of the entry.
        name: String,
        /// The field.
        field: &'static str,
    },
    /// A field of a provider in a `ClusterProfile`.
    Profile {
        /// The profile, as `namespace/name`.
        name: String,
        /// The field.
        field: &'static str,
    },
}

impl Place {
    /// Builds an error for a problem at this place.
    pub(super) fn error(&self, problem: impl Into<String>) -> ConnectError {
        ConnectError::Field { place: self.clone(), problem: problem.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => formatter.write_str(flag),
            Self::Account(path) => write!(formatter, "this pod's service account: {path}"),
            Self::Variable(name) => write!(formatter, "${name}"),
            Self::Profile { name, field } => write!(formatter, "the ClusterProfile {name}: {field}"),
            Self::Field { file, kind, name, field } => {
                write!(formatter, "the kubeconfig {}: {field} of the {kind} {name:?}", file.display())
            }
        }
    }
}

fn names(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

fn paths(missing: &[PathBuf]) -> String {
    let shown: Vec<_> = missing.iter().map(|path| path.display().to_string()).collect();
    shown.join(", ")
}
