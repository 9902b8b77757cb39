//! The long-running commands that are installed, each as a Deployment of its own.

use crate::manifests::{Mode, RECONCILE_LEASE, WATCH_LEASE};

/// A long-running command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// `kube-devops watch`.
    Watch,
    /// `kube-devops reconcile`.
    Reconcile,
}

impl Component {
    /// All components.
    pub const ALL: [Self; 2] = [Self::Watch, Self::Reconcile];

    /// Returns the component that a mode runs in; `None` for a one-shot command.
    pub fn of(mode: Mode) -> Option<Self> {
        match mode {
            Mode::Analyze | Mode::Webhook => None,
            Mode::Watch => Some(Self::Watch),
            Mode::Reconcile | Mode::Enforce | Mode::Native => Some(Self::Reconcile),
        }
    }

    /// Returns the subcommand.
    pub fn command(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Reconcile => "reconcile",
        }
    }

    /// Returns the name of its Deployment, Service, `ServiceAccount` and Lease.
    pub fn name(self) -> &'static str {
        match self {
            Self::Watch => WATCH_LEASE,
            Self::Reconcile => RECONCILE_LEASE,
        }
    }

    /// Returns the port of metrics and health.
    pub fn port(self) -> u16 {
        match self {
            Self::Watch => 8080,
            Self::Reconcile => 9090,
        }
    }

    /// Returns the CPU request, the memory request and the memory limit.
    ///
    /// `docs/performance.md` has the measurements: at 100,000 pods, `watch` uses 28 MiB and `reconcile` 150 MiB. The
    /// limits leave room for the first list.
    pub(super) fn resources(self) -> [&'static str; 3] {
        match self {
            Self::Watch => ["50m", "64Mi", "256Mi"],
            Self::Reconcile => ["100m", "128Mi", "512Mi"],
        }
    }
}
