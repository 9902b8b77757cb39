//! Every pod and workload of the cluster, lean and by namespace: what all policies are judged on. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::workload::{Workload, WorkloadKind};

/// The objects that are there now, and the namespaces in which something changed that a rule can read.
#[derive(Debug, Default)]
pub struct Inventory {
    namespaces: HashMap<String, Objects>,
    /// The namespaces to judge again.
    changed: BTreeSet<String>,
    mark: Mark,
}

/// When an object was seen last, in lists begun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

type Objects = HashMap<(WorkloadKind, Box<str>), Entry>;

#[derive(Debug)]
struct Entry {
    workload: Box<Workload<'static>>,
    seen: Mark,
}

impl Inventory {
    /// Keeps an object as it is, in place of what it was, without what only selectors read.
    pub fn apply(&mut self, mut workload: Workload<'static>) {
        workload.forget_labels();
        if workload.is_pod() {
            // It is about workloads that records are kept.
            workload.metadata.uid = None;
        }
        if workload.is_managed() || workload.is_terminal() {
            // It is never judged itself, and only says what stands for what.
            workload.pod = Arc::default();
        }
        let namespace = workload.metadata.namespace.as_deref().unwrap_or_default();
        if !self.namespaces.contains_key(namespace) {
            self.namespaces.insert(namespace.to_owned(), Objects::new());
        }
        let Some(objects) = self.namespaces.get_mut(namespace) else { return };
        let key = (workload.kind, Box::from(workload.name()));
        let known = objects.get(&key);
        if known.is_none_or(|known| *known.workload != workload) && !self.changed.contains(namespace) {
            self.changed.insert(namespace.to_owned());
        }
        objects.insert(key, Entry { workload: Box::new(workload), seen: self.mark });
    }

    /// Forgets an object.
    pub fn delete(&mut self, kind: WorkloadKind, namespace: &str, name: &str) {
        let Some(objects) = self.namespaces.get_mut(namespace) else { return };
        if objects.remove(&(kind, Box::from(name))).is_none() {
            return;
        }
        self.changed.insert(namespace.to_owned());
        if objects.is_empty() {
            self.namespaces.remove(namespace);
        } else if objects.capacity() > 64 && objects.capacity() / 4 > objects.len() {
            objects.shrink_to(objects.len() * 2);
        }
    }

    /// Begins to hear of every object of a kind anew; what was known counts until the list has ended.
    pub fn begin_list(&mut self) -> Mark {
        self.mark.0 += 1;
        self.mark
    }

    /// Ends a list of a kind: what was not seen since its beginning is gone.
    pub fn end_list(&mut self, kind: WorkloadKind, begun: Mark) {
        let mut gone: Vec<(String, Box<str>)> = Vec::new();
        for (namespace, objects) in &self.namespaces {
            let unseen = objects.iter().filter(|((of, _), entry)| *of == kind && entry.seen < begun);
            gone.extend(unseen.map(|((_, name), _)| (namespace.clone(), name.clone())));
        }
        for (namespace, name) in gone {
            self.delete(kind, &namespace, &name);
        }
    }

    /// The objects of a namespace, in no order.
    pub fn objects(&self, namespace: &str) -> impl Iterator<Item = &Workload<'static>> + Clone {
        self.namespaces.get(namespace).into_iter().flatten().map(|(_, entry)| &*entry.workload)
    }

    /// The object of this kind and name.
    pub fn get(&self, kind: WorkloadKind, namespace: &str, name: &str) -> Option<&Workload<'static>> {
        self.namespaces.get(namespace)?.get(&(kind, Box::from(name))).map(|entry| &*entry.workload)
    }

    /// How many pods there are that have not ended.
    pub fn pods(&self) -> usize {
        let all = self.namespaces.values().flat_map(HashMap::values).map(|entry| &entry.workload);
        all.filter(|workload| workload.is_pod() && !workload.is_terminal()).count()
    }

    /// Takes the namespaces in which something changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.changed)
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
    fn of_what_is_never_judged_only_the_name_and_the_owner_are_kept() {
        let mut inventory = Inventory::default();
        let managed = r#"{"metadata": {"name": "web-7f9", "namespace": "a", "ownerReferences":
            [{"kind": "Deployment", "name": "web", "controller": true}]},
            "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "x:1"}]}}}}"#;
        let ended = r#"{"metadata": {"name": "done", "namespace": "a"}, "status": {"phase": "Succeeded"},
            "spec": {"containers": [{"name": "main", "image": "x:1"}]}}"#;
        for (kind, json) in [(WorkloadKind::ReplicaSet, managed), (WorkloadKind::Pod, ended)] {
            inventory.apply(Workload::from_json_owned(kind, json).unwrap());
        }
        inventory.apply(workload("Pod", "a", "p", "x:1"));
        let kept = inventory.objects("a").map(|found| (found.name(), found.pod.containers.len()));
        assert_eq!(
            kept.collect::<std::collections::BTreeMap<_, _>>(),
            [("done", 0), ("p", 1), ("web-7f9", 0)].into()
        );
        assert_eq!(inventory.objects("a").filter(|found| found.is_managed()).count(), 1);
    }

    #[test]
    fn only_what_rules_read_makes_a_change() {
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
    fn what_a_list_does_not_name_is_gone_and_other_kinds_stay() {
        let mut inventory = Inventory::default();
        inventory.apply(workload("Pod", "a", "p", "x:1"));
        inventory.apply(workload("Pod", "b", "q", "x:1"));
        inventory.apply(workload("Deployment", "a", "d", "x:1"));
        let _ = inventory.take_changed();
        let begun = inventory.begin_list();
        inventory.apply(workload("Pod", "b", "q", "x:1"));
        assert_eq!(names(&inventory, "a"), ["Deployment/d", "Pod/p"], "the list isn't over");
        inventory.end_list(WorkloadKind::Pod, begun);
        assert_eq!(names(&inventory, "a"), ["Deployment/d"]);
        assert_eq!(names(&inventory, "b"), ["Pod/q"]);
        assert_eq!((changed(&mut inventory), inventory.pods()), (vec!["a".to_owned()], 1));
        inventory.delete(WorkloadKind::Deployment, "a", "d");
        assert!(!inventory.namespaces.contains_key("a"), "an empty namespace leaves no trace");
    }
}
