//! Connects to the port of a probe on one ready pod before a rollout that stops old pods first.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::apply_error::ApplyError;
use super::connect_results::ConnectResult;
use super::enforcer::Enforcer;
use super::evidence::pods;
use crate::enforcement::{Ineligible, Plan, Subject, after_connect, ends, pod_to_connect};

/// The time limit of a test connection.
const ANSWER: Duration = Duration::from_secs(5);
/// The time for which the result of a test connection counts, so that a pod is not disturbed more often.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

impl Enforcer<'_> {
    /// Returns the reason why a workload is not patched, or not yet: one of its ready pods refuses connections on the
    /// ports of the added probes, or restarted after a test connection.
    pub(super) async fn connect_test(
        &self,
        subject: &Subject,
        plan: &Plan,
    ) -> Result<Option<Ineligible>, ApplyError> {
        let ports = plan.ports.values().filter_map(|chosen| u16::try_from(chosen.port).ok());
        let ports: BTreeSet<u16> = ports.collect();
        if ports.is_empty() {
            return Ok(None);
        }
        let pods = pods(&self.remediator.cluster, subject).await?;
        let pod = match pod_to_connect(subject, &pods) {
            Ok(pod) => pod,
            Err(found) => return Ok(Some(found)),
        };
        let now = self.now();
        let known = {
            let mut tests = self.remediator.connect_results();
            tests.retain(|_, test| now.duration_since(test.at) < KEPT);
            tests.get(subject.uid()).filter(|test| test.ports == ports).cloned()
        };
        let mut test = match known {
            Some(ConnectResult { verdict: Some(verdict), .. }) => return Ok(Some(verdict)),
            Some(test) => test,
            None => {
                let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()?.parse().ok());
                if let Some(found) = ask(pod.name(), address, &ports).await {
                    return Ok(Some(found));
                }
                let (ends, pod) = (ends(pod), pod.metadata.uid.clone().unwrap_or_default());
                ConnectResult { ports, pod, ends, at: now, verdict: None }
            }
        };
        let found = after_connect(&pods, &test.pod, &test.ends, test.at, now);
        test.verdict = found.clone().filter(|found| !found.passing());
        self.remediator.connect_results().insert(subject.uid().to_owned(), test);
        Ok(found)
    }
}

/// Connects to each port, and returns the reason not to patch the workload if a port does not respond.
pub(super) async fn ask(pod: &str, address: Option<IpAddr>, ports: &BTreeSet<u16>) -> Option<Ineligible> {
    for &port in ports {
        let pod = pod.to_owned();
        let Some(address) = address else { return Some(Ineligible::PortUnreachable { pod, port }) };
        match timeout(ANSWER, TcpStream::connect((address, port))).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Some(Ineligible::PortRefused { pod, port });
            }
            Ok(Err(_)) | Err(_) => return Some(Ineligible::PortUnreachable { pod, port }),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::policy::SkipReason;

    #[tokio::test]
    async fn a_port_answers_refuses_or_is_out_of_reach() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap().port();
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let address = Some("127.0.0.1".parse().unwrap());
        let ask = async |address, ports: &[u16]| {
            ask("web-0", address, &ports.iter().copied().collect()).await.map(|found| found.reason())
        };
        assert_eq!(ask(address, &[open]).await, None);
        assert_eq!(ask(address, &[closed]).await, Some(SkipReason::PortRefused));
        assert_eq!(ask(address, &[open, closed]).await, Some(SkipReason::PortRefused));
        assert_eq!(ask(None, &[open]).await, Some(SkipReason::PortUnreachable));
    }
}
