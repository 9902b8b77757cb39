//! Workloads in kubectl's notation, as on the command line: `deployment/web`.

use super::KINDS;
use crate::workload::{Owner, WorkloadKind};

/// The error for a text that names no workload that enforcement can patch.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The text is not KIND/NAME.
    #[error("{0:?} is not KIND/NAME: give one such as deployment/web")]
    Form(String),
    /// Enforcement never patches this kind.
    #[error("{0:?}: enforcement patches deployments, statefulsets and daemonsets, and no {1}")]
    Kind(String, String),
}

/// Parses KIND/NAME, with every name that kubectl accepts for a kind.
pub fn parse_target(text: &str) -> Result<(WorkloadKind, &str), TargetError> {
    let Owner { kind, name } = Owner::parse(text).map_err(|_| TargetError::Form(text.to_owned()))?;
    let kind = kind.split('.').next().unwrap_or_default().to_lowercase();
    let is_named = |known: &WorkloadKind| {
        let long = known.name().to_lowercase();
        let short = match known {
            WorkloadKind::Deployment => "deploy",
            WorkloadKind::StatefulSet => "sts",
            _ => "ds",
        };
        kind == long || kind == format!("{long}s") || kind == short
    };
    let found = KINDS.into_iter().find(is_named);
    found.map(|found| (found, name)).ok_or_else(|| TargetError::Kind(text.to_owned(), kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_named_as_with_kubectl() {
        for (text, kind) in [
            ("deployment/web", WorkloadKind::Deployment),
            ("deploy/web", WorkloadKind::Deployment),
            ("Deployments.apps/web", WorkloadKind::Deployment),
            ("sts/web", WorkloadKind::StatefulSet),
            ("daemonset/web", WorkloadKind::DaemonSet),
            ("ds/web", WorkloadKind::DaemonSet),
        ] {
            assert_eq!(parse_target(text).unwrap(), (kind, "web"), "{text}");
        }
        for wrong in ["web", "deployment/", "job/web", "/web"] {
            assert!(parse_target(wrong).is_err(), "{wrong}");
        }
    }
}
