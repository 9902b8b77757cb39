//! The namespaces with native admission, and the policies that it checks there. The webhook leaves those rules to it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::ApiResource;
use kube::core::PartialObjectMeta;

use crate::cluster::{self, Cluster, RawObject, Sink, WatchRequest};
use crate::policy::{ADMISSION_LABEL, ADMISSION_NATIVE, VERDICT_ANNOTATION};

/// The hash of the policies that native admission checks, by namespace. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct NativeNamespaces(Arc<RwLock<HashMap<String, String>>>);

impl NativeNamespaces {
    /// Follows the Namespaces; never returns. Until they are listed, the webhook evaluates everything itself.
    pub async fn follow(&self, cluster: &Cluster) {
        let resource = ApiResource::erase::<Namespace>(&());
        let request = WatchRequest { resource, namespace: None, selector: None, metadata_only: true };
        let sink = VerdictSink { namespaces: self.clone(), listed: HashMap::new() };
        cluster::follow(cluster, request, sink, ()).await;
    }

    /// Returns the hash of the policies that native admission checks in a namespace; `None` without native admission.
    pub fn verdict(&self, namespace: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned()
    }

    fn set(&self, namespace: &str, hash: Option<String>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match hash {
            Some(hash) => known.insert(namespace.to_owned(), hash),
            None => known.remove(namespace),
        };
    }
}

/// Takes Namespaces from the watch.
struct VerdictSink {
    namespaces: NativeNamespaces,
    /// Those of the list under way.
    listed: HashMap<String, String>,
}

impl Sink for VerdictSink {
    fn begin_list(&mut self) {
        self.listed.clear();
    }

    fn list(&mut self, object: &RawObject) -> Result<(), String> {
        if let Some(hash) = verdict(object)? {
            self.listed.insert(object.name().to_owned(), hash);
        }
        Ok(())
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        let verdict = verdict(object);
        self.namespaces.set(object.name(), verdict.clone().unwrap_or_default());
        verdict.map(drop)
    }

    fn delete(&mut self, object: &RawObject) {
        self.namespaces.set(object.name(), None);
    }

    fn end_list(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        *self.namespaces.0.write().unwrap_or_else(PoisonError::into_inner) = listed;
    }
}

/// Returns the hash on a Namespace with native admission. During a break-glass its verdict has no denials, and the
/// rules are still left to it.
fn verdict(object: &RawObject) -> Result<Option<String>, String> {
    let namespace: PartialObjectMeta<Namespace> =
        serde_json::from_str(object.json()).map_err(|error| error.to_string())?;
    let is_native = namespace.labels().get(ADMISSION_LABEL).is_some_and(|value| value == ADMISSION_NATIVE);
    Ok(namespace.annotations().get(VERDICT_ANNOTATION).filter(|_| is_native).cloned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, label: &str, hash: &str) -> RawObject {
        let metadata = json!({
            "name": name, "labels": { ADMISSION_LABEL: label }, "annotations": { VERDICT_ANNOTATION: hash },
        });
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    #[test]
    fn only_namespaces_in_which_native_admission_evaluates_are_known() {
        let namespaces = NativeNamespaces::default();
        let mut feed = VerdictSink { namespaces: namespaces.clone(), listed: HashMap::new() };
        feed.begin_list();
        feed.list(&object("shop", ADMISSION_NATIVE, "a")).unwrap();
        feed.list(&object("bank", "other", "a")).unwrap();
        assert_eq!(namespaces.verdict("shop"), None, "the list is not complete");
        feed.end_list();
        assert_eq!(namespaces.verdict("shop").as_deref(), Some("a"));
        assert_eq!(namespaces.verdict("bank"), None);
        feed.apply(&object("shop", ADMISSION_NATIVE, "b")).unwrap();
        assert_eq!(namespaces.verdict("shop").as_deref(), Some("b"));
        feed.apply(&object("shop", "", "b")).unwrap();
        assert_eq!(namespaces.verdict("shop"), None);
        feed.apply(&object("shop", ADMISSION_NATIVE, "b")).unwrap();
        feed.delete(&object("shop", ADMISSION_NATIVE, "b"));
        assert_eq!(namespaces.verdict("shop"), None);
        feed.apply(&object("shop", ADMISSION_NATIVE, "b")).unwrap();
        feed.begin_list();
        feed.end_list();
        assert_eq!(namespaces.verdict("shop"), None);
    }
}
