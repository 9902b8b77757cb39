//! The namespaces with native admission, and the policies that it checks there. The webhook leaves those rules to it.
//! The same watch has the exemptions that Namespaces declare.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::ApiResource;
use kube::core::PartialObjectMeta;
use tracing::warn;

use crate::cluster::{self, CallError, Cluster, RawObject, Sink, WatchRequest};
use crate::governance::AnnotatedExemptions;
use crate::policies::Policies;
use crate::policy::{ADMISSION_LABEL, ADMISSION_NATIVE, VERDICT_ANNOTATION};

/// The Namespaces with a verdict of native admission or with exemptions. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct NativeNamespaces(Arc<RwLock<HashMap<String, KnownNamespace>>>);

/// A Namespace as its metadata describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct KnownNamespace {
    /// The hash of the policies that native admission checks; `None` without native admission.
    verdict: Option<String>,
    /// The exemptions that it declares.
    exemptions: AnnotatedExemptions,
}

impl NativeNamespaces {
    /// Follows the Namespaces, and tells their labels to the policies; never returns. Until they are listed, the webhook
    /// evaluates everything itself, and no cluster policy is in effect. `ready` is dropped once they are listed, or if the
    /// permission is missing.
    pub async fn follow<R>(&self, policies: &Policies, cluster: &Cluster, ready: R) {
        let resource = ApiResource::erase::<Namespace>(&());
        let request = WatchRequest { resource, namespace: None, selector: None, metadata_only: true };
        let mut ready = Some(ready);
        let refused = |error: &CallError| {
            warn!(
                %error,
                "no permission to read Namespaces: their annotations exempt nothing, and no ClusterDevOpsPolicy is in effect"
            );
            ready = None;
        };
        cluster::wait_until_permitted(cluster, &request, refused).await;
        cluster::follow(cluster, request, VerdictSink::new(self.clone(), policies), ready).await;
    }

    /// Returns the hash of the policies that native admission checks in a namespace; `None` without native admission.
    pub fn verdict(&self, namespace: &str) -> Option<String> {
        self.get(namespace).verdict
    }

    /// Returns the exemptions that a Namespace declares.
    pub fn exemptions(&self, namespace: &str) -> AnnotatedExemptions {
        self.get(namespace).exemptions
    }

    fn get(&self, namespace: &str) -> KnownNamespace {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(namespace).cloned().unwrap_or_default()
    }

    fn set(&self, name: &str, namespace: KnownNamespace) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if namespace == KnownNamespace::default() {
            known.remove(name);
        } else {
            known.insert(name.to_owned(), namespace);
        }
    }
}

/// Takes Namespaces from the watch.
struct VerdictSink<'p> {
    namespaces: NativeNamespaces,
    policies: &'p Policies,
    /// Those of the list under way.
    listed: HashMap<String, KnownNamespace>,
    /// The names of all Namespaces in the list under way.
    names: BTreeSet<String>,
}

impl<'p> VerdictSink<'p> {
    fn new(namespaces: NativeNamespaces, policies: &'p Policies) -> Self {
        Self { namespaces, policies, listed: HashMap::new(), names: BTreeSet::new() }
    }

    /// Reads a Namespace, and tells its labels to the policies.
    fn read(&self, object: &RawObject) -> Result<KnownNamespace, String> {
        let namespace: PartialObjectMeta<Namespace> =
            serde_json::from_str(object.json()).map_err(|error| error.to_string())?;
        self.policies.apply_namespace(object.name(), Some(&namespace.metadata));
        Ok(KnownNamespace::of(&namespace))
    }
}

impl Sink for VerdictSink<'_> {
    fn begin_list(&mut self) {
        self.listed.clear();
        self.names.clear();
    }

    fn list(&mut self, object: &RawObject) -> Result<(), String> {
        self.names.insert(object.name().to_owned());
        let namespace = self.read(object)?;
        if namespace != KnownNamespace::default() {
            self.listed.insert(object.name().to_owned(), namespace);
        }
        Ok(())
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        let namespace = self.read(object);
        self.namespaces.set(object.name(), namespace.clone().unwrap_or_default());
        namespace.map(drop)
    }

    fn delete(&mut self, object: &RawObject) {
        self.policies.apply_namespace(object.name(), None);
        self.namespaces.set(object.name(), KnownNamespace::default());
    }

    fn end_list(&mut self) {
        self.policies.retain_namespaces(&self.names);
        let listed = std::mem::take(&mut self.listed);
        *self.namespaces.0.write().unwrap_or_else(PoisonError::into_inner) = listed;
    }
}

impl KnownNamespace {
    /// Takes what counts of a Namespace. During a break-glass the verdict of native admission has no denials, and the
    /// rules are still left to it.
    fn of(namespace: &PartialObjectMeta<Namespace>) -> Self {
        let is_native =
            namespace.labels().get(ADMISSION_LABEL).is_some_and(|value| value == ADMISSION_NATIVE);
        let annotations = namespace.annotations();
        let mut exemptions = AnnotatedExemptions::default();
        exemptions.add_namespace(&namespace.name_any(), |key| annotations.get(key).map(String::as_str));
        let verdict = annotations.get(VERDICT_ANNOTATION).filter(|_| is_native).cloned();
        Self { verdict, exemptions }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::SystemNamespaces;

    fn object(name: &str, label: &str, hash: &str) -> RawObject {
        let metadata = json!({
            "name": name, "labels": { ADMISSION_LABEL: label }, "annotations": { VERDICT_ANNOTATION: hash },
        });
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    #[test]
    fn only_namespaces_in_which_native_admission_evaluates_are_known() {
        let namespaces = NativeNamespaces::default();
        let policies = Policies::new(SystemNamespaces::default());
        let mut feed = VerdictSink::new(namespaces.clone(), &policies);
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

    #[test]
    fn the_policies_learn_the_labels_of_every_namespace() {
        let policies = Policies::new(SystemNamespaces::default());
        let spec = json!({ "namespaceSelector": { "matchLabels": { ADMISSION_LABEL: "other" } } });
        let policy = json!({ "metadata": { "name": "base" }, "spec": spec });
        policies.apply_cluster(serde_json::from_value(policy).unwrap());
        let mut feed = VerdictSink::new(NativeNamespaces::default(), &policies);
        feed.begin_list();
        feed.list(&object("shop", "other", "a")).unwrap();
        feed.end_list();
        feed.apply(&object("bank", "other", "a")).unwrap();
        let count = || ["shop", "bank"].map(|namespace| policies.in_namespace(namespace).len());
        assert_eq!(count(), [1, 1]);
        feed.delete(&object("shop", "other", "a"));
        assert_eq!(count(), [0, 1]);
        feed.begin_list();
        feed.end_list();
        assert_eq!(count(), [0, 0]);
    }
}
