//! The flags of the leader election.

use jiff::SignedDuration;

use super::namespace::lease_name;
use super::{duration, namespace};
use crate::cluster::Cluster;
use crate::leader::Settings;

/// The Lease that replicas compete for.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Leader election")]
pub(in crate::commands) struct LeaseArgs {
    /// Namespace of the Lease [default: the pod's own, else default]
    #[arg(long = "lease-namespace", id = "lease-namespace", value_name = "NAME", value_parser = namespace)]
    pub(in crate::commands) namespace: Option<String>,

    /// Name of the Lease [default: kube-devops-COMMAND]
    #[arg(long = "lease-name", id = "lease-name", value_name = "NAME", value_parser = lease_name)]
    name: Option<String>,

    /// Time after which the other replicas take over from a leader that stopped renewing
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    lease_duration: SignedDuration,

    /// Time after its last renewal at which a leader stops writing
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    lease_renew_deadline: SignedDuration,

    /// Time between two renewals
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    lease_retry_period: SignedDuration,

    /// Write without an election; only for a single replica
    #[arg(long = "no-leader-election", id = "no-leader-election")]
    pub(in crate::commands) disabled: bool,

    /// Name of the pod, the first part of the holder's identity
    #[arg(long, env = "HOSTNAME", value_name = "NAME", default_value = "kube-devops", hide = true)]
    pod_name: String,
}

impl LeaseArgs {
    /// Returns the namespace of the Lease.
    pub(in crate::commands) fn home<'a>(&'a self, cluster: &'a Cluster) -> &'a str {
        self.namespace.as_deref().unwrap_or(cluster.home())
    }

    /// Returns the settings of the election; `name` is the Lease's default name.
    pub(in crate::commands) fn settings(&self, cluster: &Cluster, name: &str) -> Settings {
        let name = self.name.as_deref().unwrap_or(name);
        Settings {
            lease_duration: self.lease_duration.unsigned_abs(),
            renew_deadline: self.lease_renew_deadline.unsigned_abs(),
            retry_period: self.lease_retry_period.unsigned_abs(),
            ..Settings::new(self.home(cluster), name, &self.pod_name)
        }
    }
}
