//! Feeds a watch into a sink without end: changes are applied, interruptions are logged.

use super::watch::watch;
use super::{Cluster, Event, RawObject, WatchFailure, WatchRequest};
use futures::stream::StreamExt;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{info, warn};

/// Interval at which a lasting interruption is logged again.
const REMINDER: Duration = Duration::from_mins(1);

/// A receiver of a watch's changes.
pub trait Sink {
    /// A list begins, and every existing object follows. Known objects stay valid until the list ends.
    fn begin_list(&mut self);

    /// An object was listed, so it exists.
    fn list(&mut self, object: &RawObject) -> Result<(), String> {
        self.apply(object)
    }

    /// An object was created or changed. If it cannot be read, the error says why, and the object is skipped.
    fn apply(&mut self, object: &RawObject) -> Result<(), String>;

    /// An object was deleted.
    fn delete(&mut self, object: &RawObject);

    /// The list has ended: objects that were not seen since it began no longer exist.
    fn end_list(&mut self);

    /// The watch was interrupted and will be retried.
    fn interrupted(&mut self, _failure: &WatchFailure) {}

    /// Returns true if the sink logs a failure itself, with better advice.
    fn explains(&self, _failure: &WatchFailure) -> bool {
        false
    }

    /// The watch continues.
    fn resumed(&mut self) {}
}

/// Follows a watch forever. Drops `synced` after the first complete list.
pub async fn follow<S>(cluster: &Cluster, request: WatchRequest, sink: impl Sink, synced: S) {
    let mut feed = Follower::new(&request, sink);
    let mut synced = Some(synced);
    let mut changes = watch(cluster, request);
    while let Some(change) = changes.next().await {
        let listed = matches!(change, Ok(Event::InitDone));
        feed.take(change);
        if listed {
            synced = None;
        }
    }
    drop(synced);
}

struct Follower<T> {
    what: String,
    sink: T,
    begun: Instant,
    /// The number of objects in the current list.
    objects: u64,
    bytes: u64,
    /// The current interruption, and the time of its last log line.
    failure: Option<(String, Instant)>,
}

impl<T: Sink> Follower<T> {
    fn new(request: &WatchRequest, sink: T) -> Self {
        let begun = Instant::now();
        Self { what: request.to_string(), sink, begun, objects: 0, bytes: 0, failure: None }
    }

    fn take(&mut self, change: Result<Event<RawObject>, WatchFailure>) {
        match change {
            Ok(Event::Init) => {
                (self.begun, self.objects, self.bytes) = (Instant::now(), 0, 0);
                self.sink.begin_list();
            }
            Ok(Event::InitApply(object)) => {
                self.objects += 1;
                self.bytes += object.json().len() as u64;
                let read = self.sink.list(&object);
                self.skip(&object, read);
            }
            Ok(Event::InitDone) => self.end_list(),
            Ok(Event::Apply(object)) => {
                let read = self.sink.apply(&object);
                self.skip(&object, read);
                self.resume();
            }
            Ok(Event::Delete(object)) => {
                self.sink.delete(&object);
                self.resume();
            }
            Err(failure) => self.fail(&failure),
        }
    }

    fn skip(&self, object: &RawObject, read: Result<(), String>) {
        let Err(error) = read else { return };
        let (what, namespace, name) = (&self.what, object.namespace(), object.name());
        warn!(watch = what, namespace, name, error, "skipped an object that can't be read");
    }

    fn end_list(&mut self) {
        self.sink.end_list();
        let Self { what, objects, bytes, .. } = &self;
        let milliseconds = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(watch = what, objects, bytes, milliseconds, "synced");
        self.resume();
    }

    fn fail(&mut self, failure: &WatchFailure) {
        let (now, message) = (Instant::now(), failure.to_string());
        let due = |(logged, at): &(String, Instant)| *logged != message || now >= *at + REMINDER;
        if self.failure.as_ref().is_none_or(due) {
            if !self.sink.explains(failure) {
                warn!(category = failure.error.category(), error = message, "watch interrupted; retrying");
            }
            self.failure = Some((message, now));
        }
        self.sink.interrupted(failure);
    }

    fn resume(&mut self) {
        if self.failure.take().is_some() {
            info!(watch = self.what, "watch resumed");
            self.sink.resumed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::CallError;
    use kube::api::ApiResource;

    /// A sink that records its calls. It cannot read objects with the name `bad`.
    #[derive(Default)]
    struct Notes(Vec<String>);

    impl Sink for Notes {
        fn begin_list(&mut self) {
            self.0.push("begin".to_owned());
        }

        fn apply(&mut self, object: &RawObject) -> Result<(), String> {
            self.0.push(format!("apply {}", object.name()));
            if object.name() == "bad" { Err("no".to_owned()) } else { Ok(()) }
        }

        fn delete(&mut self, object: &RawObject) {
            self.0.push(format!("delete {}", object.name()));
        }

        fn end_list(&mut self) {
            self.0.push("end".to_owned());
        }

        fn interrupted(&mut self, failure: &WatchFailure) {
            self.0.push(failure.error.category().to_owned());
        }

        fn resumed(&mut self) {
            self.0.push("resumed".to_owned());
        }
    }

    fn feed() -> Follower<Notes> {
        let resource = ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&());
        let request = WatchRequest { resource, namespace: None, selector: None, metadata_only: false };
        Follower::new(&request, Notes::default())
    }

    fn object(name: &str) -> RawObject {
        serde_json::from_str(&format!(r#"{{"metadata":{{"name":"{name}","namespace":"a"}}}}"#)).unwrap()
    }

    fn failure() -> Result<Event<RawObject>, WatchFailure> {
        let error = CallError::Unreachable { server: "https://x".to_owned(), message: "refused".to_owned() };
        let silence = Duration::from_secs(1);
        Err(WatchFailure { action: "watch", what: "pods in all namespaces".to_owned(), error, silence })
    }

    #[test]
    fn an_unreadable_object_does_not_stop_the_watch() {
        let mut feed = feed();
        let list =
            [Event::Init, Event::InitApply(object("bad")), Event::InitApply(object("good")), Event::InitDone];
        for event in list {
            feed.take(Ok(event));
        }
        assert_eq!(feed.sink.0, ["begin", "apply bad", "apply good", "end"]);
        assert_eq!(feed.objects, 2);
    }

    #[test]
    fn a_sink_is_notified_of_an_interruption_and_its_end() {
        let mut feed = feed();
        for change in [failure(), failure(), Ok(Event::Apply(object("a"))), Ok(Event::Delete(object("a")))] {
            feed.take(change);
        }
        assert_eq!(feed.sink.0, ["unreachable", "unreachable", "apply a", "resumed", "delete a"]);
    }

    #[test]
    fn a_restarted_list_is_counted_again() {
        let mut feed = feed();
        for event in [Event::Init, Event::InitApply(object("a")), Event::Init, Event::InitApply(object("a"))]
        {
            feed.take(Ok(event));
        }
        assert_eq!(feed.objects, 1);
    }
}
