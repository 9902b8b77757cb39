//! Kubernetes events. Repetitions are grouped.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, Recorder, Reporter};
use tokio::time::timeout;

use super::{CallError, Cluster};

/// The maximum length of a note, [in bytes](https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/apis/core/validation/events.go).
const NOTE: usize = 1024;
/// Time limit for recording one event.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Records events.
pub struct Events {
    cluster: Cluster,
    reporter: Reporter,
    recorder: Mutex<Recorder>,
}

/// Returns the beginning of a text, of at most so many bytes, and cut between two characters.
fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

impl Events {
    /// Creates a recorder for a controller and one of its replicas.
    pub fn new(cluster: &Cluster, controller: &str, instance: String) -> Self {
        let reporter = Reporter { controller: controller.to_owned(), instance: Some(instance) };
        let recorder = Mutex::new(Recorder::new(cluster.client.clone(), reporter.clone()));
        Self { cluster: cluster.clone(), reporter, recorder }
    }

    /// Records an event. If only its note differs from a recent event, it increases that one's count. A note that is too
    /// long loses its end.
    pub async fn record(&self, event: Event, about: &ObjectReference) -> Result<(), CallError> {
        let event = &Event { note: event.note.map(|note| cut(note, NOTE)), ..event };
        let recorder = self.recorder().clone();
        let record = async {
            match recorder.publish(event, about).await {
                // The earlier event was deleted, by hand or with its namespace.
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    self.forget().publish(event, about).await
                }
                outcome => outcome,
            }
        };
        let server = &self.cluster.server;
        let outcome = timeout(TIMEOUT, record).await;
        let outcome = outcome.map_err(|_| CallError::Timeout { server: server.clone(), after: TIMEOUT })?;
        outcome.map_err(|error| CallError::new(server, error))
    }

    /// Starts again with a recorder that remembers no event.
    fn forget(&self) -> Recorder {
        let recorder = Recorder::new(self.cluster.client.clone(), self.reporter.clone());
        self.recorder().clone_from(&recorder);
        recorder
    }

    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_by_bytes_between_two_characters() {
        for (text, bytes, expected) in
            [("short", 9, "short"), ("käse", 2, "k"), ("käse", 3, "kä"), ("漢字", 5, "漢"), ("", 0, "")]
        {
            assert_eq!(cut(text.to_owned(), bytes), expected, "{text} in {bytes} bytes");
        }
    }
}
