//! Sharing between workloads that are kept: equal texts and equal pod specs are stored once.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Labels, PodSpec, Text, Workload};

/// The least number of workloads between two sweeps.
const SWEEP: usize = 1_024;

/// The texts and pod specs that workloads share.
///
/// Nearly all that a pod says is in its template, and the pods of a workload have that in common.
#[derive(Debug, Default)]
pub struct Interner {
    texts: HashSet<Arc<str>>,
    pods: HashSet<Arc<PodSpec<'static>>>,
    /// The workloads until the next sweep.
    left: usize,
}

impl Interner {
    /// Replaces what a workload has in common with earlier ones, and gives back its spare memory.
    pub fn share(&mut self, workload: &mut Workload<'static>) {
        let Workload { metadata, template_labels, template_annotations, pod, status, .. } = workload;
        let owners = metadata.owner_references.iter_mut().flatten();
        let maps = [&mut metadata.labels, &mut metadata.annotations, template_labels, template_annotations];
        let mut labels: Vec<&mut Labels<'_>> = maps.into_iter().flatten().collect();
        for labels in &mut labels {
            labels.shrink();
        }
        let texts = [&mut metadata.namespace, &mut metadata.generate_name].into_iter().flatten();
        texts
            .chain(owners.flat_map(|owner| [&mut owner.kind, &mut owner.name]))
            .chain(labels.into_iter().flat_map(Labels::texts_mut))
            .for_each(|text| self.text(text));
        if let Some(owners) = &mut metadata.owner_references {
            owners.shrink_to_fit();
        }
        if let Some(status) = status {
            let lists = [&mut status.container_statuses, &mut status.init_container_statuses];
            lists.into_iter().for_each(Vec::shrink_to_fit);
            let containers = status.container_statuses.iter_mut().chain(&mut status.init_container_statuses);
            containers
                .flat_map(|status| [&mut status.name].into_iter().chain(&mut status.reason))
                .chain(&mut status.phase)
                .for_each(|text| self.text(text));
        }
        self.pod(pod);
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => self.sweep(),
        }
    }

    fn text(&mut self, text: &mut Text<'static>) {
        let Some(own) = text.as_shared() else { return };
        match self.texts.get(own) {
            Some(known) => *text = Arc::clone(known).into(),
            None => {
                self.texts.insert(Arc::clone(own));
            }
        }
    }

    fn pod(&mut self, pod: &mut Arc<PodSpec<'static>>) {
        if let Some(known) = self.pods.get(pod) {
            *pod = Arc::clone(known);
            return;
        }
        // A spec that others hold already is left as it is.
        if let Some(pod) = Arc::get_mut(pod) {
            for containers in [&mut pod.containers, &mut pod.init_containers] {
                containers.shrink_to_fit();
                let texts = containers
                    .iter_mut()
                    .flat_map(|it| [Some(&mut it.name), it.image.as_mut(), it.restart_policy.as_mut()]);
                texts.flatten().for_each(|text| self.text(text));
            }
        }
        self.pods.insert(Arc::clone(pod));
    }

    /// Drops what no workload holds any more.
    fn sweep(&mut self) {
        self.pods.retain(|pod| Arc::strong_count(pod) > 1);
        self.pods.shrink_to_fit();
        self.texts.retain(|text| Arc::strong_count(text) > 1);
        self.texts.shrink_to_fit();
        // Each workload pays for a share of the next sweep that does not grow with the cluster.
        self.left = SWEEP.max(self.texts.len() + self.pods.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::WorkloadKind;

    fn pod(name: &str, image: &str) -> Workload<'static> {
        let pod = format!(
            r#"{{"metadata": {{"name": "{name}", "namespace": "shop", "labels": {{"pod-template-hash": "7f9"}},
                "ownerReferences": [{{"kind": "ReplicaSet", "name": "web-7f9", "controller": true}}]}},
                "spec": {{"containers": [{{"name": "main", "image": "{image}"}}]}},
                "status": {{"phase": "Running", "containerStatuses": [{{"name": "main", "restartCount": 1}}]}}}}"#
        );
        Workload::from_json_owned(WorkloadKind::Pod, &pod).unwrap()
    }

    #[test]
    fn pods_of_one_template_share_their_spec_and_their_texts() {
        let mut interner = Interner::default();
        let [mut a, mut b, mut other] = [pod("a", "web:1"), pod("b", "web:1"), pod("c", "web:2")];
        for pod in [&mut a, &mut b, &mut other] {
            let before = pod.clone();
            interner.share(pod);
            assert_eq!(*pod, before, "sharing changes nothing");
        }
        assert!(Arc::ptr_eq(&a.pod, &b.pod));
        assert!(!Arc::ptr_eq(&a.pod, &other.pod));
        let phase = |pod: &Workload<'static>| {
            let phase = pod.status.as_ref().unwrap().phase.as_ref().unwrap();
            Arc::as_ptr(phase.as_shared().unwrap())
        };
        assert_eq!(phase(&a), phase(&other));
    }

    #[test]
    fn deleted_workloads_are_freed() {
        let mut interner = Interner::default();
        for index in 0..10 * SWEEP {
            interner.share(&mut pod("a", &format!("web:{index}")));
        }
        assert!(interner.pods.len() <= SWEEP + 1, "{}", interner.pods.len());
        interner.sweep();
        assert_eq!((interner.pods.len(), interner.texts.len()), (0, 0));
    }
}
