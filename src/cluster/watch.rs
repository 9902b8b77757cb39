//! A resilient watch: it lists, follows, recovers by itself and reports failures. It keeps no objects.
//!
//! It wraps kube's watcher. It adds a time limit for each page, and a new list where the watcher would request an
//! expired resourceVersion forever. Its pauses end soon after an outage. It passes objects on unparsed, so that an
//! invalid object doesn't stop the watch.

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

/// Half of a one-shot list's page size, because a page is in memory beside everything that is kept.
const PAGE: u32 = 250;
/// Time limit of a page if none was requested. Without one, a hanging list would look like a quiet watch.
const PAGE_TIMEOUT: Duration = Duration::from_mins(1);
/// The first pause after a failure. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause after an outage, so that the state is right again within seconds of its end.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Extra time, beyond twice that of the last attempt, after which an attempt counts as successful.
const GRACE: Duration = Duration::from_secs(1);
/// The longest pause for a server that answers that it is overloaded.
const LONGEST_BUSY_PAUSE: Duration = Duration::from_secs(30);

/// The objects to watch.
#[derive(Clone, Debug)]
pub struct WatchRequest {
    /// The kind of object.
    pub resource: ApiResource,
    /// The namespace; all if `None`.
    pub namespace: Option<String>,
    /// The choice of objects; all if `None`.
    pub selector: Option<WatchSelector>,
    /// True to receive only the objects' metadata, as a `PartialObjectMetadata`.
    pub metadata_only: bool,
}

/// The choice of objects to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchSelector {
    /// A label selector, as the API server reads it.
    Labels(String),
    /// The name of one object. RBAC may grant a watch of it alone.
    Name(String),
}

impl WatchSelector {
    /// Returns the label selector and the field selector.
    pub(super) fn selectors(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::Labels(labels) => (Some(labels.clone()), None),
            Self::Name(name) => (None, Some(format!("metadata.name={name}"))),
        }
    }
}

impl fmt::Display for WatchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.resource.plural)?;
        if let Some(WatchSelector::Name(name)) = &self.selector {
            return write!(f, " {name:?}");
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace:?}"),
            None => write!(f, " in all namespaces"),
        }
    }
}

/// An object of which only the name has been read.
///
/// The rest stays text. A watch event can be split this way because the API server sends the type first.
#[derive(Clone, Debug)]
pub struct RawObject {
    metadata: ObjectMeta,
    json: Box<RawValue>,
}

/// The cause of an interrupted watch. The watch continues by itself.
#[derive(Debug, thiserror::Error)]
#[error("{action} {what}: {error}")]
pub struct WatchFailure {
    /// The failed action: `list` or `watch`.
    pub action: &'static str,
    /// The watched objects, such as `pods in namespace "shop"`.
    pub what: String,
    /// The cause and the fix.
    pub error: CallError,
    /// The longest time until the next failure or event while the cause lasts. After that time the failure counts as
    /// over.
    pub silence: Duration,
}

impl WatchFailure {
    /// Returns the failed action, such as `list pods in all namespaces`.
    pub fn subject(&self) -> String {
        format!("{} {}", self.action, self.what)
    }
}

impl RawObject {
    /// Returns the namespace; empty for cluster-scoped objects.
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Returns the object's JSON text.
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
        // The reader of the text finds the same fault and can say more about it.
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

/// Lists and then watches, without end. It reports failures, and retries after a pause.
///
/// The cluster's client must not retry, so that the pauses here are the only ones.
pub fn watch(cluster: &Cluster, request: WatchRequest) -> Changes {
    if request.metadata_only {
        let changes = Watch::<PartialObjectMeta<RawObject>>::new(cluster, request).into_stream();
        changes.map(|change| change.map(raw)).boxed()
    } else {
        Watch::<RawObject>::new(cluster, request).into_stream().boxed()
    }
}

/// The changes of a watch, without end.
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
    /// Start of the current attempt.
    begun: Instant,
}

/// The number of failures in a row.
#[derive(Clone, Copy, Default)]
struct Failures {
    all: u32,
    /// The latest failures in a row in which a server answered.
    answered: u32,
    /// The latest failures in a row in which a server said that it is overloaded.
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
        let (label_selector, field_selector) = selector.map_or((None, None), |selector| selector.selectors());
        let config =
            watcher::Config { label_selector, field_selector, timeout, ..watcher::Config::default() };
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

    /// Returns the action of a watcher that failed, and the cause.
    fn read(&mut self, error: watcher::Error) -> (&'static str, CallError) {
        // The duration of an established watch doesn't predict how soon the next attempt fails.
        if matches!(error, watcher::Error::WatchFailed(_) | watcher::Error::WatchError(_)) {
            self.begun = Instant::now();
        }
        let (action, error) = match error {
            watcher::Error::InitialListFailed(error) => ("list", error),
            watcher::Error::WatchStartFailed(error) => {
                // The watcher would request the same expired resourceVersion again.
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
        // A reopened watch on a quiet cluster reports nothing, so success is inferred from the absence of a new
        // failure.
        let attempt = (self.begun.elapsed() * 2 + GRACE).min(self.page_timeout);
        WatchFailure { action, what: self.what.clone(), error, silence: pause + attempt }
    }
}

impl Failures {
    /// Adds a failure and returns the pause. An overloaded server sets the minimum itself.
    fn add(&mut self, error: &CallError) -> Duration {
        let busy = error.busy();
        let answered = error.code().is_some();
        let (before, longest) = match busy {
            Some(_) => (self.busy, LONGEST_BUSY_PAUSE),
            // A server that has just started may refuse requests for a moment, no matter how long the outage was.
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
        // The jitter spreads replicas that failed together.
        pause.mul_f64(1.0 + fastrand::f64() / 2.0)
    }
}
