//! Sharing between workloads that are kept: equal texts, lists and pod specs are stored once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use super::list::List;
use super::supplied::name_token_volume;
use super::texts::Texts;
use super::{Container, ContainerStatus, OwnerReference, PodSpec, Text, Volume, Workload};

/// The least number of workloads between two sweeps.
const SWEEP: usize = 1_024;

/// The texts, lists and pod specs that workloads share.
///
/// Nearly all that a pod says is in its template, and the pods of a workload have that in common. What is stored is an
/// exact copy, without the spare memory of what was parsed.
#[derive(Debug, Default)]
pub struct Interner {
    texts: Texts,
    pods: HashSet<Arc<PodSpec<'static>>>,
    containers: Lists<Container<'static>>,
    volumes: Lists<Volume<'static>>,
    labels: Lists<(Text<'static>, Text<'static>)>,
    owners: Lists<OwnerReference<'static>>,
    statuses: Lists<ContainerStatus<'static>>,
    counts: Lists<(Text<'static>, u32)>,
    /// The workloads until the next sweep.
    left: usize,
}

/// Lists that are kept once.
type Lists<T> = HashSet<Arc<[T]>>;

impl Interner {
    /// Replaces what a workload has in common with earlier ones, and gives back its spare memory.
    pub fn share(&mut self, workload: &mut Workload<'static>) {
        let Self { texts, labels, owners, statuses, .. } = self;
        let Workload { metadata, template_labels, template_annotations, status, .. } = workload;
        if metadata.name.is_some() {
            // Only an object without a name goes by this one.
            metadata.generate_name = None;
        }
        if let Some(namespace) = &mut metadata.namespace {
            *namespace = texts.within(|| namespace.clone());
        }
        let maps = [&mut metadata.labels, &mut metadata.annotations, template_labels, template_annotations];
        for map in maps.into_iter().flatten() {
            share(map.pairs_mut(), labels, texts);
        }
        if let Some(own) = &mut metadata.owner_references {
            share(own, owners, texts);
        }
        if let Some(status) = status {
            share(&mut status.container_statuses, statuses, texts);
            share(&mut status.init_container_statuses, statuses, texts);
            *status = texts.within(|| status.clone());
        }
        workload.spec = texts.within(|| workload.spec.clone());
        workload.own_status = texts.within(|| workload.own_status.clone());
        if workload.is_pod()
            && let Some(pod) = Arc::get_mut(&mut workload.pod)
        {
            name_token_volume(pod);
        }
        self.pod(&mut workload.pod);
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => self.sweep(),
        }
    }

    /// Returns the shared copy of a text.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        self.texts.copy(text)
    }

    /// Shares counts by name.
    pub fn share_counts(&mut self, counts: &mut List<(Text<'static>, u32)>) {
        share(counts, &mut self.counts, &mut self.texts);
    }

    fn pod(&mut self, pod: &mut Arc<PodSpec<'static>>) {
        if let Some(known) = self.pods.get(pod) {
            *pod = Arc::clone(known);
            return;
        }
        // A spec that others hold already is copied, too.
        let Self { texts, pods, containers, volumes, .. } = self;
        let mut own = texts.within(|| PodSpec::clone(pod));
        for list in [&mut own.containers, &mut own.init_containers] {
            share(list, containers, texts);
        }
        share(&mut own.volumes, volumes, texts);
        *pod = Arc::new(own);
        pods.insert(Arc::clone(pod));
    }

    /// Drops what no workload holds any more.
    fn sweep(&mut self) {
        let Self { texts, pods, containers, volumes, labels, owners, statuses, counts, left } = self;
        // Parts that hold other parts go first.
        let kept = [
            sweep(pods),
            sweep(containers),
            sweep(volumes),
            sweep(labels),
            sweep(owners),
            sweep(statuses),
            sweep(counts),
        ];
        texts.sweep();
        // Each workload pays for a share of the next sweep that does not grow with the cluster.
        *left = SWEEP.max(texts.len() + kept.iter().sum::<usize>());
    }
}

/// Shares a list and its texts.
fn share<T: Clone + Eq + Hash>(list: &mut List<T>, known: &mut Lists<T>, texts: &mut Texts) {
    list.share(known, |items| texts.within(|| items.iter().cloned().collect()));
}

/// Drops the values that nobody else holds, and returns the number of the others.
fn sweep<T: Eq + Hash + ?Sized>(values: &mut HashSet<Arc<T>>) -> usize {
    values.retain(|value| Arc::strong_count(value) > 1);
    values.shrink_to_fit();
    values.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::WorkloadKind;

    fn pod(name: &str, image: &str) -> Workload<'static> {
        let random = &name[..1];
        let pod = serde_json::json!({
            "metadata": {
                "name": name,
                "generateName": "web-7f9-",
                "namespace": "shop",
                "labels": { "pod-template-hash": "7f9" },
                "ownerReferences": [{ "kind": "ReplicaSet", "name": "web-7f9", "controller": true }],
            },
            "spec": {
                "containers": [{
                    "name": "main",
                    "image": image,
                    "env": [{ "name": "LEVEL", "value": "info" }, { "name": "OTHER", "value": "info" }],
                    "volumeMounts": [{ "name": format!("kube-api-access-{random}2345") }],
                }],
                "volumes": [{
                    "name": format!("kube-api-access-{random}2345"),
                    "projected": { "sources": [{ "configMap": { "name": "kube-root-ca.crt" } }] },
                }],
            },
            "status": { "phase": "Running", "containerStatuses": [{ "name": "main", "restartCount": 1 }] },
        });
        Workload::from_json_owned(WorkloadKind::Pod, &pod.to_string()).unwrap()
    }

    #[test]
    fn pods_of_one_template_share_all_but_their_names() {
        let mut interner = Interner::default();
        let [mut a, mut b, mut other] = [pod("a", "web:1"), pod("b", "web:1"), pod("c", "web:2")];
        for pod in [&mut a, &mut b, &mut other] {
            let mut before = pod.clone();
            before.metadata.generate_name = None;
            name_token_volume(Arc::make_mut(&mut before.pod));
            interner.share(pod);
            assert_eq!(*pod, before, "sharing changes nothing else");
        }
        assert!(Arc::ptr_eq(&a.pod, &b.pod), "the random name of the token's volume makes no difference");
        assert!(!Arc::ptr_eq(&a.pod, &other.pod));
        assert_eq!(a.pod.volumes.as_ptr(), other.pod.volumes.as_ptr());
        let owners = |pod: &Workload<'static>| pod.metadata.owner_references.as_ref().unwrap().as_ptr();
        assert_eq!(owners(&a), owners(&other));
        let statuses = |pod: &Workload<'static>| pod.status.as_ref().unwrap().container_statuses.as_ptr();
        assert_eq!(statuses(&a), statuses(&other));
        let [phase, value] = [
            |pod: &Workload<'static>| pod.status.as_ref().unwrap().phase.as_ref().unwrap().as_ptr(),
            |pod: &Workload<'static>| pod.pod.containers[0].env[0].value.as_ptr(),
        ];
        assert_eq!((phase(&a), value(&a)), (phase(&other), value(&other)));
        assert_eq!(value(&a), a.pod.containers[0].env[1].value.as_ptr());
    }

    #[test]
    fn deleted_workloads_are_freed() {
        let mut interner = Interner::default();
        for index in 0..10 * SWEEP {
            interner.share(&mut pod("a", &format!("web:{index}")));
        }
        assert!(interner.pods.len() <= SWEEP + 1, "{}", interner.pods.len());
        interner.sweep();
        let Interner { texts, pods, containers, volumes, labels, owners, statuses, .. } = &interner;
        assert_eq!((texts.len(), pods.len(), containers.len(), volumes.len()), (0, 0, 0, 0));
        assert_eq!((labels.len(), owners.len(), statuses.len()), (0, 0, 0));
    }
}
