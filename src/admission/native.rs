//! The namespaces with native admission, and the policies that it checks there. The webhook leaves those rules to it.
//! The same watch has the exemptions that Namespaces declare.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::ApiResource;
use kube::core::PartialObjectMeta;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use super::native_installation::follow_installation;
use crate::cluster::{self, CallError, Cluster, RawObject, Sink, WatchRequest};
use crate::governance::AnnotatedExemptions;
use crate::manifests::AdmissionSettings;
use crate::policies::Policies;
use crate::policy::AdmissionVerdict;

/// The time that the API server gets to put new admission policies into effect. It compiles them within two seconds.
const SETTLING: Duration = Duration::from_secs(5);

/// The Namespaces with a verdict of native admission or with exemptions. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct NativeNamespaces {
    known: Arc<RwLock<HashMap<String, KnownNamespace>>>,
    /// True while the API server has the admission policies that evaluate by the verdicts.
    in_effect: Arc<AtomicBool>,
    /// True once all Namespaces were listed, or if they may not be read.
    listed: Arc<AtomicBool>,
}

/// A Namespace as its metadata describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct KnownNamespace {
    /// The digest of the verdict that it carries; `None` without native admission.
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
            self.listed.store(true, Ordering::Relaxed);
            ready = None;
        };
        cluster::wait_until_permitted(cluster, &request, refused).await;
        cluster::follow(cluster, request, VerdictSink::new(self.clone(), policies), ready).await;
    }

    /// Follows the admission policies; never returns. Until the API server has had them for a while as this version
    /// installs them, the webhook evaluates everything itself, also if they may not be read.
    pub async fn watch_installation(&self, cluster: &Cluster, settings: &AdmissionSettings) -> Infallible {
        let (sender, mut installed) = watch::channel(false);
        tokio::select! {
            never = follow_installation(cluster, settings, &sender) => never,
            never = self.settle(&mut installed) => never,
        }
    }

    async fn settle(&self, installed: &mut watch::Receiver<bool>) -> Infallible {
        loop {
            let is_installed = *installed.borrow_and_update();
            if !is_installed {
                self.set_in_effect(false);
            } else if timeout(SETTLING, installed.changed()).await.is_err() {
                self.set_in_effect(true);
            } else {
                continue;
            }
            if installed.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }

    fn set_in_effect(&self, in_effect: bool) {
        if self.in_effect.swap(in_effect, Ordering::Relaxed) != in_effect {
            let now = if in_effect { "leaves rules to native admission" } else { "evaluates every rule" };
            info!("the webhook {now}");
        }
    }

    /// Returns false while cluster policies are not in effect, because the Namespaces are not listed yet.
    pub fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Relaxed)
    }

    /// Returns the digest of the verdict by which native admission evaluates in a namespace; `None` without native
    /// admission.
    pub fn verdict(&self, namespace: &str) -> Option<String> {
        self.get(namespace).verdict.filter(|_| self.in_effect.load(Ordering::Relaxed))
    }

    /// Returns the exemptions that a Namespace declares.
    pub fn exemptions(&self, namespace: &str) -> AnnotatedExemptions {
        self.get(namespace).exemptions
    }

    fn get(&self, namespace: &str) -> KnownNamespace {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(namespace).cloned().unwrap_or_default()
    }

    fn set(&self, name: &str, namespace: KnownNamespace) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
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
        *self.namespaces.known.write().unwrap_or_else(PoisonError::into_inner) = listed;
        self.namespaces.listed.store(true, Ordering::Relaxed);
    }
}

impl KnownNamespace {
    /// Takes what counts of a Namespace.
    fn of(namespace: &PartialObjectMeta<Namespace>) -> Self {
        let annotations = namespace.annotations();
        let mut exemptions = AnnotatedExemptions::default();
        exemptions.add_namespace(&namespace.name_any(), |key| annotations.get(key).map(String::as_str));
        Self { verdict: AdmissionVerdict::digest_of(&namespace.metadata), exemptions }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::{ADMISSION_LABEL, ADMISSION_NONE, SystemNamespaces, VERDICT_ANNOTATION};

    fn object(name: &str, label: &str, hash: &str) -> RawObject {
        let metadata = json!({
            "name": name, "labels": { ADMISSION_LABEL: label }, "annotations": { VERDICT_ANNOTATION: hash },
        });
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    #[test]
    fn only_namespaces_in_which_native_admission_evaluates_are_known() {
        let namespaces = NativeNamespaces::default();
        namespaces.set_in_effect(true);
        let policies = Policies::new(SystemNamespaces::default());
        let mut feed = VerdictSink::new(namespaces.clone(), &policies);
        feed.begin_list();
        feed.list(&object("shop", ADMISSION_NONE, "a")).unwrap();
        feed.list(&object("bank", "other", "a")).unwrap();
        assert_eq!(namespaces.verdict("shop"), None, "the list is not complete");
        feed.end_list();
        let first = namespaces.verdict("shop");
        assert!(first.is_some());
        assert_eq!(namespaces.verdict("bank"), None);
        feed.apply(&object("shop", ADMISSION_NONE, "b")).unwrap();
        assert!(namespaces.verdict("shop").is_some_and(|second| Some(second) != first));
        feed.apply(&object("shop", "", "b")).unwrap();
        assert_eq!(namespaces.verdict("shop"), None);
        feed.apply(&object("shop", ADMISSION_NONE, "b")).unwrap();
        feed.delete(&object("shop", ADMISSION_NONE, "b"));
        assert_eq!(namespaces.verdict("shop"), None);
        feed.apply(&object("shop", ADMISSION_NONE, "b")).unwrap();
        feed.begin_list();
        feed.end_list();
        assert_eq!(namespaces.verdict("shop"), None);
    }

    #[test]
    fn a_verdict_that_no_admission_policy_reads_does_not_count() {
        let namespaces = NativeNamespaces::default();
        let policies = Policies::new(SystemNamespaces::default());
        VerdictSink::new(namespaces.clone(), &policies).apply(&object("shop", ADMISSION_NONE, "a")).unwrap();
        assert_eq!(namespaces.verdict("shop"), None, "the admission policies were not looked at");
        namespaces.set_in_effect(true);
        assert!(namespaces.verdict("shop").is_some());
        namespaces.set_in_effect(false);
        assert_eq!(namespaces.verdict("shop"), None, "the admission policies are gone");
    }

    #[tokio::test(start_paused = true)]
    async fn rules_are_left_to_admission_policies_only_after_the_api_server_had_time_for_them() {
        let namespaces = NativeNamespaces::default();
        let (sender, mut installed) = watch::channel(false);
        let is_in_effect = || namespaces.in_effect.load(Ordering::Relaxed);
        let test = async {
            sender.send_replace(true);
            tokio::time::sleep(SETTLING / 2).await;
            assert!(!is_in_effect());
            sender.send_replace(false);
            sender.send_replace(true);
            tokio::time::sleep(SETTLING.saturating_sub(Duration::from_millis(1))).await;
            assert!(!is_in_effect(), "they were changed meanwhile");
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert!(is_in_effect());
            sender.send_replace(false);
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(!is_in_effect());
        };
        tokio::select! {
            () = test => {}
            never = namespaces.settle(&mut installed) => match never {},
        }
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
