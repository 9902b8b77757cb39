//! The watches of the objects that rules of policies read beside pods and workloads. They start and stop with these rules.

use std::time::Duration;

use futures::future::join_all;
use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::Operator;
use super::related_objects::{ListState, RelatedList, WatchedObject};
use crate::cluster::{
    self, Access, CallError, ListMark, ObjectList, RawObject, Sink, WatchFailure, WatchRequest,
};
use crate::workload::{Kind, Resource};

/// The first pause before a list that failed is tried again. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause. A permission that is granted, or a CRD that is installed, is noticed within that time.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The pause between two lists of a resource that can't be watched. metrics-server measures four times a minute.
const POLL: Duration = Duration::from_secs(30);

/// Follows what rules of policies read. Never returns.
pub(super) async fn follow_related(operator: &Operator) {
    let lists = RelatedList::all(&operator.scopes());
    join_all(lists.iter().map(|list| follow_while_read(operator, list))).await;
}

/// Follows a list while a rule reads it.
async fn follow_while_read(operator: &Operator, list: &RelatedList) {
    let mut kinds = operator.related_kinds();
    let kind = list.resource.kind;
    // The operator holds the sender, so that waiting never fails.
    while kinds.wait_for(|kinds| kinds.contains(kind)).await.is_ok() {
        tokio::select! {
            () = follow(operator, list) => {}
            _ = kinds.wait_for(|kinds| !kinds.contains(kind)) => {}
        }
        operator.inventory().related.forget(list);
    }
}

/// Follows a list, and starts again after each failure. Never returns.
async fn follow(operator: &Operator, list: &RelatedList) {
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        if let Some(state) = obstacle(operator, list).await {
            set_state(operator, list, state);
        } else if list.resource.kind == Kind::PodMetrics {
            if let Err(error) = poll(operator, list).await {
                set_state(operator, list, state_of(&error));
            }
        } else {
            follow_until_refused(operator, list).await;
        }
        if begun.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Asks if a list can be followed, and returns its state if it can't. A watch without permission would log a failure
/// every few seconds.
async fn obstacle(operator: &Operator, list: &RelatedList) -> Option<ListState> {
    let Resource { group, plural, is_custom, kind, .. } = *list.resource;
    if is_custom {
        match operator.cluster.serves(&list.resource.api_version(), &[plural]).await.as_deref() {
            Ok([true]) => {}
            Ok(_) => return Some(ListState::NotServed),
            Err(error) => return Some(state_of(error)),
        }
    }
    let verbs: &[&str] = if kind == Kind::PodMetrics { &["list"] } else { &["list", "watch"] };
    let access = |verb: &&str| Access {
        verb: (*verb).to_owned(),
        group: group.to_owned(),
        resource: plural.to_owned(),
        subresource: None,
        namespace: list.namespace.clone(),
        name: None,
    };
    let accesses: Vec<Access> = verbs.iter().map(access).collect();
    match operator.cluster.allowed(&accesses).await {
        Ok(decisions) if decisions.iter().all(|decision| decision.allowed) => None,
        Ok(_) => Some(ListState::Refused),
        Err(error) => Some(state_of(&error)),
    }
}

fn state_of(error: &CallError) -> ListState {
    if error.code() == Some(403) { ListState::Refused } else { ListState::Failed(error.to_string()) }
}

/// Follows a watch until the API server refuses it or no longer serves the resource.
async fn follow_until_refused(operator: &Operator, list: &RelatedList) {
    let Resource { group, version, name, plural, .. } = *list.resource;
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, name), plural);
    let namespace = list.namespace.clone();
    let request = WatchRequest { resource, namespace, selector: None, metadata_only: false };
    let (ended, end) = oneshot::channel::<()>();
    let sink = RelatedSink { operator, list, mark: ListMark::default(), ended: Some(ended) };
    tokio::select! {
        () = cluster::follow(&operator.cluster, request, sink, ()) => {}
        _ = end => {}
    }
}

/// Lists again and again, until a list fails.
async fn poll(operator: &Operator, list: &RelatedList) -> Result<(), CallError> {
    #[derive(Deserialize)]
    struct Page {
        items: Vec<RawObject>,
    }
    let Resource { group, version, plural, .. } = *list.resource;
    let request = ObjectList { group, version, plural, namespace: list.namespace.as_deref() };
    let mut sink = RelatedSink { operator, list, mark: ListMark::default(), ended: None };
    loop {
        let add = |objects: &mut Vec<RawObject>, page: &str| {
            objects.extend(serde_json::from_str::<Page>(page)?.items);
            Ok(())
        };
        let objects = cluster::list_objects(&operator.cluster, request, Vec::new, add).await?;
        sink.begin_list();
        for object in &objects {
            sink.take(object);
        }
        sink.end_list();
        sleep(POLL).await;
    }
}

/// Sets the state of a list, and wakes the policies with a rule that reads it.
fn set_state(operator: &Operator, list: &RelatedList, state: ListState) {
    let is_new = operator.inventory().related.set_state(list, state);
    if is_new {
        operator.wake_readers(list.resource.kind, list.namespace.as_deref());
    }
}

/// Adds the objects of a list to the inventory.
struct RelatedSink<'o> {
    operator: &'o Operator,
    list: &'o RelatedList,
    mark: ListMark,
    /// Dropped when the watch can't go on.
    ended: Option<oneshot::Sender<()>>,
}

impl RelatedSink<'_> {
    fn take(&self, object: &RawObject) {
        let read = WatchedObject::read(self.list.resource, object.json());
        let (namespace, name) = (object.namespace(), object.name());
        let is_new = self.operator.inventory().related.apply(self.list.resource, namespace, name, read);
        if is_new {
            self.wake(namespace);
        }
    }

    /// Wakes the policies that an object in a namespace concerns.
    fn wake(&self, namespace: &str) {
        let namespace = (!namespace.is_empty()).then_some(namespace);
        self.operator.wake_readers(self.list.resource.kind, namespace);
    }
}

impl Sink for RelatedSink<'_> {
    fn begin_list(&mut self) {
        self.mark = self.operator.inventory().related.begin_list();
    }

    fn list(&mut self, object: &RawObject) -> Result<(), String> {
        self.apply(object)
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        self.take(object);
        Ok(())
    }

    fn delete(&mut self, object: &RawObject) {
        let (namespace, name) = (object.namespace(), object.name());
        let is_known = self.operator.inventory().related.delete(self.list.resource, namespace, name);
        if is_known {
            self.wake(namespace);
        }
    }

    fn end_list(&mut self) {
        let removed = self.operator.inventory().related.end_list(self.list, self.mark);
        for namespace in &removed {
            self.wake(namespace);
        }
        set_state(self.operator, self.list, ListState::Complete);
    }

    fn interrupted(&mut self, failure: &WatchFailure) {
        if matches!(failure.error.code(), Some(403 | 404)) {
            self.ended = None;
        }
    }
}
