//! The long-running commands that are installed, each as a Deployment of its own.

use crate::manifests::{Mode, RECONCILE_LEASE, WATCH_LEASE, WEBHOOK_LEASE};

/// A long-running command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// `kube-devops watch`.
    Watch,
    /// `kube-devops reconcile`.
    Reconcile,
    /// `kube-devops webhook serve`.
    Webhook,
}

impl Component {
    /// All components.
    pub const ALL: [Self; 3] = [Self::Watch, Self::Reconcile, Self::Webhook];

    /// Returns the component that a mode runs in; `None` for a one-shot command.
    pub fn of(mode: Mode) -> Option<Self> {
        match mode {
            Mode::Analyze => None,
            Mode::Watch => Some(Self::Watch),
            Mode::Reconcile | Mode::Enforce | Mode::Native | Mode::Reports => Some(Self::Reconcile),
            Mode::Webhook => Some(Self::Webhook),
        }
    }

    /// Returns the first word of the subcommand, which is also the value of its label.
    pub fn command(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Reconcile => "reconcile",
            Self::Webhook => "webhook",
        }
    }

    /// Returns the name of its Deployment, Service, `ServiceAccount` and Lease.
    pub fn name(self) -> &'static str {
        match self {
            Self::Watch => WATCH_LEASE,
            Self::Reconcile => RECONCILE_LEASE,
            Self::Webhook => WEBHOOK_LEASE,
        }
    }

    /// Returns the port of metrics and health.
    pub fn port(self) -> u16 {
        match self {
            Self::Watch => 8080,
            Self::Reconcile => 9090,
            Self::Webhook => 8081,
        }
    }

    /// Returns the port of the webhook, over HTTPS.
    pub fn secure_port(self) -> Option<u16> {
        (self == Self::Webhook).then_some(8443)
    }

    /// Returns the seconds that a pod has between SIGTERM and its end.
    pub(super) fn grace(self) -> u32 {
        match self {
            // Longer than the end of writes, the release of the Lease and the drain of reads together.
            Self::Watch | Self::Reconcile => 30,
            // Longer than the drain of the connections of API servers.
            Self::Webhook => 45,
        }
    }

    /// Returns the CPU request, the memory request and the memory limit.
    ///
    /// `docs/performance.md` has the measurements: at 100,000 pods, `watch` uses 28 MiB and `reconcile` 150 MiB. The
    /// limits leave room for the first list.
    pub(super) fn resources(self) -> [&'static str; 3] {
        match self {
            Self::Watch | Self::Webhook => ["50m", "64Mi", "256Mi"],
            Self::Reconcile => ["100m", "128Mi", "512Mi"],
        }
    }
}
