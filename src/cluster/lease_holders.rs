//! Lists who holds Leases of given names.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams};

use super::{CallError, Cluster};

/// A replica that holds a Lease and still renews it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseHolder {
    /// The namespace of the Lease.
    pub namespace: String,
    /// The name of the Lease.
    pub lease: String,
    /// The identity of the holder, which begins with the name of its pod.
    pub holder: String,
    /// The time since the last renewal.
    pub age: SignedDuration,
}

impl Cluster {
    /// Returns the holders of all Leases with these names, in a namespace or in all.
    ///
    /// The last renewal is compared with the local clock, so the answer is only as good as that clock. A holder that
    /// crashed is returned until its Lease expires.
    pub async fn lease_holders(
        &self,
        namespace: Option<&str>,
        names: &[&str],
        now: Timestamp,
    ) -> Result<Vec<LeaseHolder>, CallError> {
        let mut holders = Vec::new();
        for name in names {
            // A Role that names its objects allows a list with this selector.
            let params = ListParams::default().fields(&format!("metadata.name={name}"));
            let list = async |client| match namespace {
                Some(namespace) => Api::<Lease>::namespaced(client, namespace).list(&params).await,
                None => Api::<Lease>::all(client).list(&params).await,
            };
            holders.extend(self.call(list).await?.items.into_iter().filter_map(|lease| held(lease, now)));
        }
        Ok(holders)
    }
}

/// Returns the holder of a Lease that has not expired.
fn held(lease: Lease, now: Timestamp) -> Option<LeaseHolder> {
    let spec = lease.spec?;
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty())?;
    let age = now.duration_since(spec.renew_time?.0);
    let duration = SignedDuration::from_secs(spec.lease_duration_seconds?.into());
    (age < duration).then_some(LeaseHolder {
        namespace: lease.metadata.namespace.unwrap_or_default(),
        lease: lease.metadata.name.unwrap_or_default(),
        holder,
        age: age.max(SignedDuration::ZERO),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_lease_that_is_held_and_not_expired_has_a_holder() {
        let now: Timestamp = "2026-01-01T00:00:20Z".parse().unwrap();
        let read = |holder: &str, renewed: &str| {
            let lease = json!({
                "metadata": { "name": "n", "namespace": "ns" },
                "spec": { "holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed },
            });
            held(serde_json::from_value(lease).unwrap(), now).map(|holder| holder.age.as_secs())
        };
        assert_eq!(read("a", "2026-01-01T00:00:10.000000Z"), Some(10));
        assert_eq!(read("a", "2026-01-01T00:00:22.000000Z"), Some(0), "by a clock that is ahead");
        assert_eq!(read("a", "2026-01-01T00:00:05.000000Z"), None, "expired");
        assert_eq!(read("", "2026-01-01T00:00:19.000000Z"), None, "released");
    }
}
