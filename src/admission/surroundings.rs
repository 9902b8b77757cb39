//! The objects of each namespace that constrain the defaults of new workloads, kept in memory by watches.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{self, ConfigMap, LimitRange, PersistentVolumeClaim, ResourceQuota};
use kube::api::{Api, ApiResource};
use kube::core::GroupVersionKind;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::sleep;
use tracing::warn;

use crate::cluster::{self, Cluster, ListMark, RawObject, Sink, Store, WatchRequest};
use crate::enforcement::{Ledger, Note, Service, Surroundings, objects};
use crate::manifests::{LEDGER_KEY, LEDGER_NAME};

/// Pause between two reads of the ledger, and between two looks for an optional kind.
const PAUSE: Duration = Duration::from_secs(5);

/// The objects of one kind.
struct Kept<T> {
    objects: RwLock<Store<Box<str>, T>>,
    listed: AtomicBool,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { objects: RwLock::default(), listed: AtomicBool::new(false) }
    }
}

impl<T: Clone> Kept<T> {
    /// Returns the objects of a namespace with their names.
    fn named(&self, namespace: &str) -> Vec<(String, T)> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        objects.group(namespace).map(|(name, object)| (name.to_string(), object.clone())).collect()
    }

    fn of(&self, namespace: &str) -> Vec<T> {
        self.named(namespace).into_iter().map(|(_, object)| object).collect()
    }

    fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Relaxed)
    }
}

/// Takes the objects of one kind from a watch.
struct KindSink<'k, T, F> {
    kept: &'k Kept<T>,
    read: F,
    begun: ListMark,
}

impl<T, F> KindSink<'_, T, F> {
    fn write<R>(&self, change: impl FnOnce(&mut Store<Box<str>, T>) -> R) -> R {
        change(&mut self.kept.objects.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T, F: Fn(&str) -> serde_json::Result<T>> Sink for KindSink<'_, T, F> {
    fn begin_list(&mut self) {
        self.begun = self.write(Store::begin_list);
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        let read = (self.read)(object.json()).map_err(|error| error.to_string())?;
        self.write(|store| store.insert(object.namespace(), object.name().into(), read));
        Ok(())
    }

    fn delete(&mut self, object: &RawObject) {
        self.write(|store| store.remove(object.namespace(), object.name()));
    }

    fn end_list(&mut self) {
        self.write(|store| store.end_list(self.begun, None, |_, _| true));
        self.kept.listed.store(true, Ordering::Relaxed);
    }
}

/// The objects that constrain the defaults of new workloads, and the withdrawals in the ledger. Clones share them.
#[derive(Clone, Default)]
pub struct NamespaceSurroundings(Arc<Known>);

#[derive(Default)]
struct Known {
    services: Kept<Service>,
    autoscalers: Kept<objects::HorizontalPodAutoscaler>,
    vertical: Kept<Value>,
    /// True if the cluster is known to lack `VerticalPodAutoscaler`s.
    lacks_vertical: AtomicBool,
    limit_ranges: Kept<objects::LimitRange>,
    quotas: Kept<objects::ResourceQuota>,
    claims: Kept<objects::PersistentVolumeClaim>,
    /// The notes of the ledger; `None` until it was read.
    notes: RwLock<Option<Vec<Note>>>,
}

impl NamespaceSurroundings {
    /// Follows all kinds and the ledger in the own namespace; never returns.
    pub async fn follow(&self, cluster: &Cluster, home: &str) {
        let known = &*self.0;
        let core = [
            follow::<v1::Service, _>(cluster, &known.services, Service::read),
            follow::<HorizontalPodAutoscaler, _>(cluster, &known.autoscalers, read),
            follow::<LimitRange, _>(cluster, &known.limit_ranges, read),
            follow::<ResourceQuota, _>(cluster, &known.quotas, read),
            follow::<PersistentVolumeClaim, _>(cluster, &known.claims, read),
        ];
        tokio::join!(join_all(core), self.follow_vertical(cluster), self.follow_ledger(cluster, home));
    }

    /// Follows the `VerticalPodAutoscaler`s once the cluster has the kind, which is an add-on.
    async fn follow_vertical(&self, cluster: &Cluster) {
        let kind = GroupVersionKind::gvk("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler");
        let resource = ApiResource::from_gvk(&kind);
        loop {
            match cluster.serves(&resource.api_version, &[&resource.plural]).await.as_deref() {
                Ok([true]) => break,
                Ok(_) => self.0.lacks_vertical.store(true, Ordering::Relaxed),
                Err(_) => {}
            }
            sleep(PAUSE).await;
        }
        self.0.lacks_vertical.store(false, Ordering::Relaxed);
        let request = WatchRequest { resource, namespace: None, selector: None, metadata_only: false };
        let sink = KindSink { kept: &self.0.vertical, read: read_vertical, begun: ListMark::default() };
        cluster::follow(cluster, request, sink, ()).await;
    }

    /// Reads the ledger again and again: an account may read one `ConfigMap` without the right to watch all of them.
    async fn follow_ledger(&self, cluster: &Cluster, home: &str) {
        let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), home);
        let mut problem = String::new();
        loop {
            let read = cluster.call(async |_| api.get_opt(LEDGER_NAME).await).await;
            match read.map_err(|error| error.to_string()).and_then(|map| notes(map.as_ref())) {
                Ok(notes) => {
                    *self.0.notes.write().unwrap_or_else(PoisonError::into_inner) = Some(notes);
                    problem.clear();
                }
                Err(error) if error != problem => {
                    warn!(error, "failed to read the ledger of enforcement; will retry");
                    problem = error;
                }
                Err(_) => {}
            }
            sleep(PAUSE).await;
        }
    }

    /// Returns the objects that constrain workloads of a namespace, and the notes of withdrawals; `None` until all were
    /// read.
    pub(super) fn of(&self, namespace: &str) -> Option<(Surroundings, Vec<Note>)> {
        let known = &*self.0;
        let is_listed = known.services.is_listed()
            && known.autoscalers.is_listed()
            && known.limit_ranges.is_listed()
            && known.quotas.is_listed();
        let notes = known.notes.read().unwrap_or_else(PoisonError::into_inner).clone();
        let notes = notes.filter(|_| is_listed)?;
        let is_vertical_read = known.lacks_vertical.load(Ordering::Relaxed) || known.vertical.is_listed();
        let claims = known.claims.named(namespace).into_iter();
        let claims = claims.map(|(name, claim)| (name, claim.spec.unwrap_or_default().access_modes));
        let surroundings = Surroundings {
            // There is no pod yet that a rollout could disrupt.
            budgets: Vec::new(),
            autoscalers: known.autoscalers.of(namespace),
            vertical: known.vertical.of(namespace),
            vertical_unread: (!is_vertical_read).then(|| "they were not read yet".to_owned()),
            limit_ranges: known.limit_ranges.of(namespace),
            quotas: known.quotas.of(namespace),
            claims: claims.collect(),
            services: known.services.of(namespace),
        };
        Some((surroundings, notes))
    }

    /// Counts as read, without any object.
    #[cfg(test)]
    pub(super) fn empty() -> Self {
        let empty = Self::default();
        for listed in [
            &empty.0.services.listed,
            &empty.0.autoscalers.listed,
            &empty.0.limit_ranges.listed,
            &empty.0.quotas.listed,
            &empty.0.lacks_vertical,
        ] {
            listed.store(true, Ordering::Relaxed);
        }
        *empty.0.notes.write().unwrap() = Some(Vec::new());
        empty
    }
}

type Follow<'f> = std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'f>>;

/// Follows all objects of a kind.
fn follow<'f, K, T>(
    cluster: &'f Cluster,
    kept: &'f Kept<T>,
    read: fn(&str) -> serde_json::Result<T>,
) -> Follow<'f>
where
    K: kube::Resource<DynamicType = ()>,
    T: Send + Sync + 'f,
{
    let resource = ApiResource::erase::<K>(&());
    let request = WatchRequest { resource, namespace: None, selector: None, metadata_only: false };
    let sink = KindSink { kept, read, begun: ListMark::default() };
    Box::pin(cluster::follow(cluster, request, sink, ()))
}

fn read<T: DeserializeOwned>(json: &str) -> serde_json::Result<T> {
    serde_json::from_str(json)
}

/// Reads the part of a `VerticalPodAutoscaler` that decisions depend on.
fn read_vertical(json: &str) -> serde_json::Result<Value> {
    let object: Value = serde_json::from_str(json)?;
    Ok(json!({
        "metadata": { "name": object["metadata"]["name"] },
        "spec": { "targetRef": object["spec"]["targetRef"], "updatePolicy": object["spec"]["updatePolicy"] },
    }))
}

/// Reads the notes of a ledger; one that was never written has none.
fn notes(map: Option<&ConfigMap>) -> Result<Vec<Note>, String> {
    let Some(text) = map.and_then(|map| map.data.as_ref()?.get(LEDGER_KEY)) else { return Ok(Vec::new()) };
    let ledger: Ledger = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(ledger.notes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, spec: &Value) -> RawObject {
        serde_json::from_value(json!({ "metadata": { "name": name, "namespace": "shop" }, "spec": spec }))
            .unwrap()
    }

    #[test]
    fn nothing_is_known_until_every_kind_and_the_ledger_were_read() {
        let known = NamespaceSurroundings::empty();
        assert!(NamespaceSurroundings::default().of("shop").is_none() && known.of("shop").is_some());
        known.0.lacks_vertical.store(false, Ordering::Relaxed);
        assert!(known.of("shop").unwrap().0.vertical_unread.is_some());
        *known.0.notes.write().unwrap() = None;
        assert!(known.of("shop").is_none());
    }

    #[test]
    fn the_objects_of_a_namespace_follow_its_watches() {
        let known = NamespaceSurroundings::empty();
        let (services, vertical) = (&known.0.services, &known.0.vertical);
        let mut sink = KindSink { kept: services, read: Service::read, begun: ListMark::default() };
        sink.begin_list();
        sink.list(&object("a", &json!({ "ports": [{ "port": 80 }] }))).unwrap();
        sink.list(&object("b", &json!({}))).unwrap();
        sink.end_list();
        sink.delete(&object("b", &json!({})));
        let mut sink = KindSink { kept: vertical, read: read_vertical, begun: ListMark::default() };
        let target = json!({ "targetRef": { "kind": "Deployment", "name": "web" }, "more": 1 });
        sink.apply(&object("v", &target)).unwrap();
        let (found, notes) = known.of("shop").unwrap();
        assert_eq!(found.services.iter().map(|service| &*service.name).collect::<Vec<_>>(), ["a"]);
        assert_eq!(found.vertical[0]["spec"]["targetRef"], target["targetRef"]);
        assert_eq!((found.vertical[0]["spec"].get("more"), notes), (None, Vec::new()));
        assert!(known.of("bank").unwrap().0.services.is_empty());
    }
}
