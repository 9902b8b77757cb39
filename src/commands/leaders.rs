//! Notes about replicas that still lead: they restore what a removal takes away.

use std::io;

use jiff::Timestamp;

use crate::cluster::{Cluster, LeaseHolder};
use crate::terminal;

/// Writes a note for each replica that holds one of these Leases, in a namespace or in all.
pub(super) async fn note(cluster: &Cluster, namespace: Option<&str>, leases: &[&str]) -> io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a command reads the clock")]
    let now = Timestamp::now();
    match cluster.lease_holders(namespace, leases, now).await {
        Ok(holders) => holders.iter().try_for_each(|holder| {
            let LeaseHolder { namespace, lease, holder, age } = holder;
            terminal::note(format_args!(
                "{holder} holds the Lease {namespace}/{lease}, renewed {} s ago: if it still runs, it restores what is \
                 removed here: stop it, and run this again",
                age.as_secs()
            ))
        }),
        Err(error) => {
            terminal::note(format_args!("cannot tell if kube-devops still runs in the cluster: {error}"))
        }
    }
}
