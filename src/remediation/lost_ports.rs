//! Withdraws probes whose port the workload no longer declares. With the conflict policy, the API server removes them
//! in the same write as the port.

use super::enforcer::Enforcer;
use super::error::RemediationError;
use crate::enforcement::parse_declared;
use crate::enforcement::records::{self, is_in_place, kind_of};
use crate::policy::{Remediation, RemediationReason};

impl Enforcer<'_> {
    /// Withdraws probes whose port is no longer declared, and records those that the API server removed.
    pub(super) async fn notice_lost_ports(&mut self) -> Result<(), RemediationError> {
        let lacking: Vec<Remediation> = {
            let workloads = self.remediator.workloads();
            let lacks = |record: &Remediation| {
                let trace =
                    kind_of(record).and_then(|kind| workloads.trace(kind, &self.namespace, &record.name));
                trace
                    .is_some_and(|trace| record.declared_ports.iter().any(|port| !trace.ports.contains(port)))
            };
            self.records().into_iter().filter(|record| is_in_place(record) && lacks(record)).collect()
        };
        for record in lacking {
            // An unreadable workload is read again later.
            let Ok(Some(subject)) = self.fetch(&record).await else { continue };
            match records::of_lost_ports(&record, &subject) {
                None => {}
                Some(Err(without)) => self.record(without).await?,
                Some(Ok(stranded)) => {
                    let message = lost(&record, &stranded);
                    self.begin_withdrawal(&stranded, RemediationReason::PortGone, &message).await?;
                }
            }
        }
        Ok(())
    }
}

/// Names the ports that are no longer declared.
fn lost(before: &Remediation, after: &Remediation) -> String {
    let lost = before.declared_ports.iter().filter(|port| !after.declared_ports.contains(port));
    let each = lost.filter_map(|port| parse_declared(port)).map(|(container, port)| {
        format!("container {container} no longer declares port {port}, to which a probe connected")
    });
    each.collect::<Vec<_>>().join("; ")
}
