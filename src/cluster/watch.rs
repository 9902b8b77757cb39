//! The one resilient watch: it lists, follows, repairs itself and says what went wrong. It keeps no objects.
//!
//! kube's watcher does the work. Added here: a time limit on each page, a fresh list where the watcher would ask for
//! the same lost resourceVersion for ever, pauses that end soon after an outage or a watch cut short, and objects that
//! nobody has parsed yet, so that one which can't be parsed stops nothing.

use super::pace::paced;
use super::{CallError, Cluster};
use futures::stream::{self, BoxStream, Stream, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ApiResource};
use kube::core::{DynamicResourceScope, PartialObjectMeta};
use kube::runtime::watcher;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

pub use kube::runtime::watcher::Event;

#[cfg(test)]
mod tests;

/// Half of what a one-shot list asks for: a page is in memory beside all that is kept.
const PAGE: u32 = 250;
/// How long a page may take where no limit was asked for: a watch that waits for ever would look like a quiet one.
const PAGE_TIMEOUT: Duration = Duration::from_mins(1);
/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause after an outage: what is seen is right again within seconds of its end.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// What a next attempt may take beyond twice the time of the last, before it counts as one that did not fail.
const GRACE: Duration = Duration::from_secs(1);
/// The longest pause for a server that answers and says that it is overloaded.
const LONGEST_BUSY_PAUSE: Duration = Duration::from_secs(30);

/// What to watch.
#[derive(Clone, Debug)]
pub struct WatchRequest {
    /// The kind of object.
    pub resource: ApiResource,
    /// The namespace; all when `None`.
    pub namespace: Option<String>,
    /// A label selector, as the API server reads it.
    pub selector: Option<String>,
    /// Whether only the objects' metadata is sent, as a `PartialObjectMetadata`.
    pub metadata_only: bool,
}

impl fmt::Display for WatchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} in namespace {namespace:?}", self.resource.plural),
            None => write!(f, "{} in all namespaces", self.resource.plural),
        }
    }
}

/// An object of which only the name has been read.
///
/// It is kept as text, which can be taken from an event of a watch only because an API server sends the type first.
#[derive(Clone, Debug)]
pub struct RawObject {
    metadata: ObjectMeta,
    json: Box<RawValue>,
}

/// Why a watch was interrupted; it goes on by itself.
#[derive(Debug, thiserror::Error)]
#[error("{action} {what}: {error}")]
pub struct WatchFailure {
    /// What was being done: `list` or `watch`.
    pub action: &'static str,
    /// What is watched, such as `pods in namespace "shop"`.
    pub what: String,
    /// What went wrong, and what to do about it.
    pub error: CallError,
    /// How long it may take until the next failure or event, if the cause lasts; after that it is over.
    pub silence: Duration,
}

impl WatchFailure {
    /// Returns what failed, such as `list pods in all namespaces`.
    pub fn subject(&self) -> String {
        format!("{} {}", self.action, self.what)
    }
}

impl RawObject {
    /// The namespace; empty for what has none.
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The object's JSON text.
    pub fn json(&self) -> &str {
        self.json.get()
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        struct Head {
            #[serde(default)]
            metadata: Metadata,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            namespace: Option<String>,
            name: Option<String>,
            resource_version: Option<String>,
        }
        let json = Box::<RawValue>::deserialize(deserializer)?;
        // Who reads the text finds the same fault and can say more about it.
        let Metadata { namespace, name, resource_version } =
            serde_json::from_str(json.get()).map_or_else(|_| Metadata::default(), |head: Head| head.metadata);
        Ok(Self { metadata: ObjectMeta { namespace, name, resource_version, ..ObjectMeta::default() }, json })
    }
}

impl kube::Resource for RawObject {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.kind)
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.group)
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.version)
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.plural)
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.api_version)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Lists and then watches, without end; a failure is told, and repaired after a pause.
///
/// The cluster's client must be built without retries, because the pauses here are meant to be the only ones.
pub fn watch(cluster: &Cluster, request: WatchRequest) -> Changes {
    if request.metadata_only {
        let changes = Watch::<PartialObjectMeta<RawObject>>::new(cluster, request).into_stream();
        changes.map(|change| change.map(raw)).boxed()
    } else {
        Watch::<RawObject>::new(cluster, request).into_stream().boxed()
    }
}

/// What a watch brings, without end.
pub type Changes = BoxStream<'static, Result<Event<RawObject>, WatchFailure>>;

fn raw(event: Event<PartialObjectMeta<RawObject>>) -> Event<RawObject> {
    match event {
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(object.into()),
        Event::InitDone => Event::InitDone,
        Event::Apply(object) => Event::Apply(object.into()),
        Event::Delete(object) => Event::Delete(object.into()),
    }
}

impl From<PartialObjectMeta<Self>> for RawObject {
    fn from(object: PartialObjectMeta<Self>) -> Self {
        let json = serde_json::value::to_raw_value(&object).unwrap_or_default();
        Self { metadata: object.metadata, json }
    }
}

type Events<K> = BoxStream<'static, watcher::Result<Event<K>>>;

struct Watch<K> {
    api: Api<K>,
    config: watcher::Config,
    server: String,
    what: String,
    page_timeout: Duration,
    events: Option<Events<K>>,
    listing: bool,
    failures: Failures,
    pause: Option<Duration>,
    /// When what is being tried now was begun.
    begun: Instant,
}

/// How many failures in a row there were.
#[derive(Clone, Copy, Default)]
struct Failures {
    all: u32,
    /// Those at the end of the row in which there was a server that answered.
    answered: u32,
    /// Those at the end of the row with which a server said that it is overloaded.
    busy: u32,
}

impl<K> Watch<K>
where
    K: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    K: Clone + Debug + DeserializeOwned + Send + 'static,
{
    fn new(cluster: &Cluster, request: WatchRequest) -> Self {
        let what = request.to_string();
        let WatchRequest { resource, namespace, selector, .. } = request;
        let client = paced(&cluster.client);
        let api = match namespace {
            Some(namespace) => Api::namespaced_with(client, &namespace, &resource),
            None => Api::all_with(client, &resource),
        };
        let timeout = cluster.watch_seconds;
        let config = watcher::Config { label_selector: selector, timeout, ..watcher::Config::default() };
        Self {
            api,
            config: config.page_size(PAGE),
            server: cluster.server.clone(),
            what,
            page_timeout: cluster.request_timeout.unwrap_or(PAGE_TIMEOUT),
            events: None,
            listing: false,
            failures: Failures::default(),
            pause: None,
            begun: Instant::now(),
        }
    }

    fn into_stream(self) -> impl Stream<Item = Result<Event<K>, WatchFailure>> + Send {
        stream::unfold(self, |mut watch| async {
            let next = watch.next().await;
            Some((next, watch))
        })
    }

    async fn next(&mut self) -> Result<Event<K>, WatchFailure> {
        if let Some(pause) = self.pause.take() {
            sleep(pause).await;
            self.begun = Instant::now();
        }
        loop {
            let events = self.events.get_or_insert_with(|| {
                self.listing = true;
                watcher::watcher(self.api.clone(), self.config.clone()).boxed()
            });
            let next = if self.listing {
                let Ok(next) = timeout(self.page_timeout, events.next()).await else {
                    self.events = None;
                    let (server, after) = (self.server.clone(), self.page_timeout);
                    return Err(self.fail("list", CallError::Timeout { server, after }));
                };
                next
            } else {
                events.next().await
            };
            match next {
                None => self.events = None,
                Some(Ok(event)) => {
                    self.begun = Instant::now();
                    match event {
                        Event::Init => self.listing = true,
                        Event::InitDone => (self.listing, self.failures) = (false, Failures::default()),
                        Event::Apply(_) | Event::Delete(_) => self.failures = Failures::default(),
                        Event::InitApply(_) => {}
                    }
                    return Ok(event);
                }
                Some(Err(error)) => {
                    let (action, error) = self.read(error);
                    return Err(self.fail(action, error));
                }
            }
        }
    }

    /// Tells what a watcher was doing when it failed, and why it did.
    fn read(&mut self, error: watcher::Error) -> (&'static str, CallError) {
        // For how long a watch went well says nothing of how soon the next attempt would fail.
        if matches!(error, watcher::Error::WatchFailed(_) | watcher::Error::WatchError(_)) {
            self.begun = Instant::now();
        }
        let (action, error) = match error {
            watcher::Error::InitialListFailed(error) => ("list", error),
            watcher::Error::WatchStartFailed(error) => {
                // The watcher would ask for the resourceVersion again that the server has just called gone.
                if matches!(&error, kube::Error::Api(status) if status.code == 410) {
                    self.events = None;
                }
                ("watch", error)
            }
            watcher::Error::WatchFailed(error) => ("watch", error),
            watcher::Error::WatchError(status) => ("watch", kube::Error::Api(status)),
            error @ watcher::Error::NoResourceVersion => {
                let (server, message) = (self.server.clone(), error.to_string());
                return ("watch", CallError::Body { server, message });
            }
        };
        (action, CallError::new(&self.server, error))
    }

    fn fail(&mut self, action: &'static str, error: CallError) -> WatchFailure {
        let pause = self.failures.add(&error);
        self.pause = Some(pause);
        // A watch that is open again on a quiet cluster tells nobody: that it has not failed again has to do.
        let attempt = (self.begun.elapsed() * 2 + GRACE).min(self.page_timeout);
        WatchFailure { action, what: self.what.clone(), error, silence: pause + attempt }
    }
}

impl Failures {
    /// Adds a failure and tells how long to wait; a server that is busy names the shortest time itself.
    fn add(&mut self, error: &CallError) -> Duration {
        let busy = error.busy();
        let answered = error.code().is_some();
        let (before, longest) = match busy {
            Some(_) => (self.busy, LONGEST_BUSY_PAUSE),
            // A server that is back may refuse things for a moment: for how long it was away says nothing of that.
            None if answered => (self.answered, LONGEST_PAUSE),
            None => (self.all, LONGEST_PAUSE),
        };
        let count = |of: u32, more: bool| if more { of.saturating_add(1) } else { 0 };
        *self = Self {
            all: count(self.all, true),
            answered: count(self.answered, answered),
            busy: count(self.busy, busy.is_some()),
        };
        let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(before));
        let pause = doubled.max(busy.unwrap_or_default()).min(longest);
        // Replicas that failed together should not come back together.
        pause.mul_f64(1.0 + fastrand::f64() / 2.0)
    }
}
