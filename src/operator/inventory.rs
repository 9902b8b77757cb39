//! The pods, workloads and Services of the cluster by namespace, reduced to the fields that rules and enforcement read. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::health::Health;
use super::related_objects::RelatedObjects;
use crate::cluster::{ListMark, Store};
use crate::enforcement::{Service, Trace};
use crate::governance::AnnotatedExemptions;
use crate::workload::{Fields, Interner, Text, Workload, WorkloadKind};

/// The existing objects, and the namespaces with changes that rules can read.
///
/// Pods of one template share it. Each pod costs its name, its status and little more.
#[derive(Debug, Default)]
pub struct Inventory {
    objects: Store<Key, Box<Known>>,
    services: Store<Box<str>, Service>,
    interner: Interner,
    /// The exemptions that Namespaces declare.
    namespaces: AnnotatedExemptions,
    /// The health of pods and rollouts.
    pub(super) health: Health,
    /// The other objects that rules of policies read.
    pub(super) related: RelatedObjects,
    /// The namespaces to evaluate again.
    changed: BTreeSet<String>,
}

/// An object.
#[derive(Debug, PartialEq)]
struct Known {
    workload: Workload<'static>,
    /// The trace of enforcement, if there is one.
    trace: Option<Box<Trace>>,
}

/// An object within its namespace.
type Key = (WorkloadKind, Text<'static>);

impl Inventory {
    /// Keeps an object as it is now. A terminal pod is not kept: it is
    /// not evaluated, and hides no template.
    pub fn apply(&mut self, workload: Workload<'static>) {
        self.apply_with_trace(workload, None);
    }

    /// Keeps an object as [`Inventory::apply`] does, and its trace of enforcement.
    pub fn apply_with_trace(&mut self, mut workload: Workload<'static>, trace: Option<Trace>) {
        if workload.is_terminal() {
            let namespace = workload.metadata.namespace.as_deref().unwrap_or_default();
            return self.delete(workload.kind, namespace, workload.name());
        }
        if workload.is_pod() {
            // Only workloads have records, so other objects need no uid.
            workload.metadata.uid = None;
        }
        if workload.is_managed() {
            // Not evaluated; kept only to map pods to their owners.
            workload.pod = Arc::default();
            workload.raw = None;
        }
        self.interner.share(&mut workload);
        let namespace = workload.metadata.namespace.clone().unwrap_or_default();
        let name = workload.metadata.name.clone().unwrap_or_else(|| workload.name().to_owned().into());
        let key = (workload.kind, name);
        let mut new = Known { workload, trace: trace.map(Box::new) };
        let known = self.objects.see(&namespace, &key);
        if known.as_ref().is_none_or(|known| ***known != new) {
            if let Some(known) = known {
                // The keys of maps hold this copy of the name.
                new.workload.metadata.name.clone_from(&known.workload.metadata.name);
            }
            self.objects.insert(&namespace, key, Box::new(new));
            self.note_change(&namespace);
        }
    }

    /// Takes the annotations of a Namespace. A change of its exemptions is a change of the namespace.
    pub fn apply_namespace<'a>(&mut self, name: &str, annotation: impl Fn(&str) -> Option<&'a str>) {
        let before = self.exemptions(name);
        self.namespaces.add_namespace(name, annotation);
        if before != self.exemptions(name) {
            self.note_change(name);
        }
    }

    /// Returns the exemptions that a Namespace declares.
    pub fn exemptions(&self, namespace: &str) -> AnnotatedExemptions {
        self.namespaces.within(namespace)
    }

    /// Takes the health of an object that [`Inventory::apply`] took.
    pub fn observe(&mut self, kind: WorkloadKind, namespace: &str, name: &str, json: &str, now: Timestamp) {
        let Some(object) = self.get(kind, namespace, name) else { return };
        let changed = match kind {
            WorkloadKind::Pod => {
                let name = object.metadata.name.clone().unwrap_or_default();
                self.health.apply_pod((namespace, &name), json, now, &mut self.interner)
            }
            _ => self.health.apply_workload(kind, (namespace, name), json, now),
        };
        if changed {
            self.note_change(namespace);
        }
    }

    /// Returns the namespaces with objects.
    pub fn namespaces(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.objects.iter().map(|(namespace, ..)| namespace.to_owned()).collect();
        names.dedup();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Removes an object.
    pub fn delete(&mut self, kind: WorkloadKind, namespace: &str, name: &str) {
        self.health.remove(kind, namespace, name);
        if self.objects.remove(namespace, &(kind, name.to_owned().into())).is_some() {
            self.note_change(namespace);
        }
    }

    /// Starts a list of a kind. Known objects stay until [`Inventory::end_list`].
    pub fn begin_list(&mut self) -> ListMark {
        self.objects.begin_list()
    }

    /// Ends a list of a kind, in one namespace or in all: removes the objects that were not listed since its start.
    pub fn end_list(&mut self, kind: WorkloadKind, begun: ListMark, within: Option<&str>) {
        for (namespace, (_, name), _) in self.objects.end_list(begun, within, |(of, _), _| *of == kind) {
            self.health.remove(kind, &namespace, &name);
            self.note_change(&namespace);
        }
    }

    /// Adds or replaces a Service. It may determine the port of a probe.
    pub fn apply_service(&mut self, namespace: &str, service: Service) {
        if self.services.see(namespace, &*service.name).is_none_or(|known| *known != service) {
            self.services.insert(namespace, service.name.as_str().into(), service);
            self.note_change(namespace);
        }
    }

    /// Removes a Service.
    pub fn delete_service(&mut self, namespace: &str, name: &str) {
        if self.services.remove(namespace, name).is_some() {
            self.note_change(namespace);
        }
    }

    /// Starts a list of the Services. Known ones stay until [`Inventory::end_services`].
    pub fn begin_services(&mut self) -> ListMark {
        self.services.begin_list()
    }

    /// Ends a list of the Services, in one namespace or in all: removes those that were not listed since its start.
    pub fn end_services(&mut self, begun: ListMark, within: Option<&str>) {
        for (namespace, _, _) in self.services.end_list(begun, within, |_, _| true) {
            self.note_change(&namespace);
        }
    }

    /// Returns the Services of a namespace, by name.
    pub fn services(&self, namespace: &str) -> Vec<Service> {
        let mut services: Vec<Service> =
            self.services.group(namespace).map(|(_, service)| service.clone()).collect();
        services.sort();
        services
    }

    /// Returns the objects of a namespace, unordered.
    pub fn objects(&self, namespace: &str) -> impl Iterator<Item = &Workload<'static>> + Clone {
        self.objects.group(namespace).map(|(_, known)| &known.workload)
    }

    /// Returns true if a namespace has an object without one of these fields, because its watch started before a rule
    /// read them.
    pub fn lacks(&self, namespace: &str, fields: Fields) -> bool {
        self.objects(namespace).any(|object| !object.is_managed() && !object.has(fields))
    }

    /// Returns the object of this kind and name.
    pub fn get(&self, kind: WorkloadKind, namespace: &str, name: &str) -> Option<&Workload<'static>> {
        self.known(kind, namespace, name).map(|known| &known.workload)
    }

    /// Returns what is followed of an object; `None` for one without a trace of enforcement.
    pub fn trace(&self, kind: WorkloadKind, namespace: &str, name: &str) -> Option<&Trace> {
        self.known(kind, namespace, name)?.trace.as_deref()
    }

    fn known(&self, kind: WorkloadKind, namespace: &str, name: &str) -> Option<&Known> {
        self.objects.get(namespace, &(kind, name.to_owned().into())).map(|known| &**known)
    }

    /// Returns the number of pods that have not terminated.
    pub fn pods(&self) -> usize {
        self.objects.iter().filter(|(.., known)| known.workload.is_pod()).count()
    }

    /// Returns the namespaces with changes since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.changed)
    }

    pub(super) fn note_change(&mut self, namespace: &str) {
        if !self.changed.contains(namespace) {
            self.changed.insert(namespace.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(kind: &str, namespace: &str, name: &str, image: &str) -> Workload<'static> {
        let of = WorkloadKind::find(if kind == "Pod" { "v1" } else { "apps/v1" }, kind).unwrap();
        let spec = serde_json::json!({ "containers": [{ "name": "main", "image": image }] });
        let spec = if kind == "Pod" { spec } else { serde_json::json!({ "template": { "spec": spec } }) };
        let object =
            serde_json::json!({ "metadata": { "name": name, "namespace": namespace }, "spec": spec })
                .to_string();
        Workload::from_json_owned(of, &object).unwrap()
    }

    fn names(inventory: &Inventory, namespace: &str) -> Vec<String> {
        let mut names: Vec<_> = inventory.objects(namespace).map(|found| found.owner().to_string()).collect();
        names.sort();
        names
    }

    fn changed(inventory: &mut Inventory) -> Vec<String> {
        inventory.take_changed().into_iter().collect()
    }

    #[test]
    fn managed_objects_are_kept_without_their_spec_and_terminal_pods_not_at_all() {
        let mut inventory = Inventory::default();
        let managed = r#"{"metadata": {"name": "web-7f9", "namespace": "a", "ownerReferences":
            [{"kind": "Deployment", "name": "web", "controller": true}]},
            "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "x:1"}]}}}}"#;
        let ended = r#"{"metadata": {"name": "done", "namespace": "a"}, "status": {"phase": "Succeeded"},
            "spec": {"containers": [{"name": "main", "image": "x:1"}]}}"#;
        inventory.apply(Workload::from_json_owned(WorkloadKind::ReplicaSet, managed).unwrap());
        inventory.apply(workload("Pod", "a", "p", "x:1"));
        inventory.apply(workload("Pod", "a", "done", "x:1"));
        inventory.apply(Workload::from_json_owned(WorkloadKind::Pod, ended).unwrap());
        let kept = inventory.objects("a").map(|found| (found.name(), found.pod.containers.len()));
        assert_eq!(
            kept.collect::<std::collections::BTreeMap<_, _>>(),
            [("p", 1), ("web-7f9", 0)].into(),
            "a pod that ended is gone"
        );
        assert_eq!(inventory.objects("a").filter(|found| found.is_managed()).count(), 1);
    }

    #[test]
    fn only_changes_of_fields_that_rules_read_count() {
        let mut inventory = Inventory::default();
        inventory.apply(workload("Pod", "a", "p", "x:1"));
        assert_eq!(changed(&mut inventory), ["a"]);
        inventory.apply(workload("Pod", "a", "p", "x:1"));
        assert!(changed(&mut inventory).is_empty());
        inventory.apply(workload("Pod", "a", "p", "x:2"));
        assert_eq!(changed(&mut inventory), ["a"]);
        inventory.delete(WorkloadKind::Pod, "a", "other");
        assert!(changed(&mut inventory).is_empty());
    }

    #[test]
    fn services_are_kept_by_name_and_a_change_of_one_makes_a_change() {
        let service = |name: &str, port: i32| {
            let ports = serde_json::json!([{ "port": port }]);
            let object = serde_json::json!({ "metadata": { "name": name }, "spec": { "ports": ports } });
            Service::read(&object.to_string()).unwrap()
        };
        let mut inventory = Inventory::default();
        let begun = inventory.begin_services();
        inventory.apply_service("a", service("y", 80));
        inventory.apply_service("a", service("x", 80));
        inventory.end_services(begun, None);
        assert_eq!(changed(&mut inventory), ["a"]);
        inventory.apply_service("a", service("x", 80));
        assert!(changed(&mut inventory).is_empty());
        inventory.apply_service("a", service("x", 81));
        assert_eq!(changed(&mut inventory), ["a"]);
        assert_eq!(inventory.services("a"), [service("x", 81), service("y", 80)]);
        let begun = inventory.begin_services();
        inventory.apply_service("a", service("y", 80));
        inventory.end_services(begun, None);
        assert_eq!((changed(&mut inventory), inventory.services("a").len()), (vec!["a".to_owned()], 1));
        inventory.delete_service("a", "y");
        assert_eq!((changed(&mut inventory), inventory.services("a").len()), (vec!["a".to_owned()], 0));
    }

    #[test]
    fn unlisted_objects_of_a_kind_are_removed() {
        let mut inventory = Inventory::default();
        inventory.apply(workload("Pod", "a", "p", "x:1"));
        inventory.apply(workload("Pod", "b", "q", "x:1"));
        inventory.apply(workload("Deployment", "a", "d", "x:1"));
        let _ = inventory.take_changed();
        let begun = inventory.begin_list();
        inventory.apply(workload("Pod", "b", "q", "x:1"));
        assert_eq!(names(&inventory, "a"), ["Deployment/d", "Pod/p"], "the list isn't over");
        inventory.end_list(WorkloadKind::Pod, begun, None);
        assert_eq!(names(&inventory, "a"), ["Deployment/d"]);
        assert_eq!(names(&inventory, "b"), ["Pod/q"]);
        assert_eq!((changed(&mut inventory), inventory.pods()), (vec!["a".to_owned()], 1));
        inventory.delete(WorkloadKind::Deployment, "a", "d");
        assert!(!inventory.objects.contains_group("a"), "an empty namespace leaves no trace");
    }
}
