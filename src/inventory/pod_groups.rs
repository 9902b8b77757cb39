//! The pods and templates of an input. Pods that are alike are one group.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use jiff::Timestamp;

use super::shared::Shared;
use super::{Identity, NewObject, PodGroup, PodShape, Standing};
use crate::workload::{Labels, Text};

/// The pods and templates of an input, with the texts that they share.
#[derive(Debug, Default)]
pub(super) struct PodGroups {
    groups: Vec<PodGroup>,
    /// The places of the groups of pods with a controller.
    managed: HashTable<u32>,
    hasher: DefaultHashBuilder,
    texts: Shared<str>,
    labels: Shared<Labels<'static>>,
    shapes: Shared<PodShape<'static>>,
}

/// The properties that all pods of a group share. Each is kept once, so that its address identifies it.
#[derive(Debug, Clone)]
pub(super) struct Alike {
    pub(super) namespace: Arc<str>,
    pub(super) owner: Arc<str>,
    pub(super) labels: Arc<Labels<'static>>,
    pub(super) shape: Arc<PodShape<'static>>,
}

impl Alike {
    fn of(group: &PodGroup) -> Option<Self> {
        let owner = group.identity.owner.as_ref().filter(|_| group.standing == Standing::Managed)?;
        Some(Self {
            namespace: Arc::clone(&group.identity.namespace),
            owner: Arc::clone(owner),
            labels: Arc::clone(&group.labels),
            shape: Arc::clone(&group.shape),
        })
    }

    fn is_of(&self, group: &PodGroup) -> bool {
        let is_owner = |owner| Arc::ptr_eq(&self.owner, owner);
        Arc::ptr_eq(&self.labels, &group.labels)
            && Arc::ptr_eq(&self.shape, &group.shape)
            && Arc::ptr_eq(&self.namespace, &group.identity.namespace)
            && group.identity.owner.as_ref().is_some_and(is_owner)
    }

    /// Returns what identifies the properties.
    fn addresses(&self) -> [usize; 4] {
        [
            self.namespace.as_ptr().addr(),
            self.owner.as_ptr().addr(),
            Arc::as_ptr(&self.labels).addr(),
            Arc::as_ptr(&self.shape).addr(),
        ]
    }
}

impl PodGroups {
    /// Returns a shared copy of a text.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        self.texts.text(text)
    }

    /// Returns a shared copy of labels.
    pub(super) fn labels(&mut self, labels: &Labels<'_>) -> Arc<Labels<'static>> {
        let Self { labels: known, texts, .. } = self;
        let mut copy = || labels.copied(|text| Text::from(texts.text(text)));
        known.share(labels, |one| *one == *labels, || Arc::new(copy()))
    }

    /// Returns a shared copy of a shape.
    pub(super) fn shape(&mut self, shape: &PodShape<'_>) -> Arc<PodShape<'static>> {
        let Self { shapes, texts, .. } = self;
        let mut copy = || shape.copied(|text| Text::from(texts.text(text)));
        shapes.share(shape, |one| *one == *shape, || Arc::new(copy()))
    }

    /// Adds a template, or a pod without a controller.
    pub(super) fn push(&mut self, group: PodGroup) {
        self.groups.push(group);
    }

    /// Adds a pod with a controller.
    pub(super) fn add_managed(&mut self, alike: &Alike, pod: &NewObject<'_>, created: Option<Timestamp>) {
        if let Some(group) = self.find(alike) {
            group.youngest = group.youngest.max(created);
            // The first pod by its name stands for the others, if it was asked for.
            if pod.order() < group.identity.order() {
                let identity = self.identity(pod, Some(&alike.owner));
                if let Some(group) = self.find(alike) {
                    group.identity = identity;
                }
            }
            return;
        }
        let identity = self.identity(pod, Some(&alike.owner));
        let Alike { labels, shape, .. } = alike.clone();
        self.push_managed(PodGroup {
            identity,
            labels,
            shape,
            standing: Standing::Managed,
            youngest: created,
        });
    }

    /// Keeps the identity of an object.
    pub(super) fn identity(&mut self, object: &NewObject<'_>, owner: Option<&Arc<str>>) -> Identity {
        Identity {
            namespace: self.text(object.namespace),
            name: object.name.into(),
            kind: object.kind,
            owner: owner.cloned(),
            source: object.source.map(|(source, line)| (self.text(source), line)),
            is_asked: object.is_asked,
        }
    }

    fn find(&mut self, alike: &Alike) -> Option<&mut PodGroup> {
        let hash = self.hasher.hash_one(alike.addresses());
        let groups = &self.groups;
        let place = self.managed.find(hash, |place| alike.is_of(&groups[*place as usize])).copied()?;
        self.groups.get_mut(place as usize)
    }

    fn push_managed(&mut self, group: PodGroup) {
        let Self { groups, managed, hasher, .. } = self;
        let Some(alike) = Alike::of(&group) else { return };
        let place = u32::try_from(groups.len()).unwrap_or(u32::MAX);
        groups.push(group);
        let hash_of = |group: &PodGroup| Alike::of(group).map_or(0, |one| hasher.hash_one(one.addresses()));
        managed.insert_unique(hasher.hash_one(alike.addresses()), place, |place| {
            groups.get(*place as usize).map_or(0, hash_of)
        });
    }

    /// Adds the groups of another part.
    pub(super) fn merge(&mut self, mut part: Self) {
        if self.groups.len() < part.groups.len() {
            std::mem::swap(self, &mut part);
        }
        for mut group in part.groups {
            group.labels = self.labels(&group.labels);
            group.shape = self.shape(&group.shape);
            group.identity.namespace = self.text(&group.identity.namespace);
            group.identity.owner = group.identity.owner.map(|owner| self.text(&owner));
            match Alike::of(&group).map(|alike| self.find(&alike)) {
                None => self.push(group),
                Some(None) => self.push_managed(group),
                Some(Some(known)) => {
                    known.youngest = known.youngest.max(group.youngest);
                    if group.identity.order() < known.identity.order() {
                        known.identity = group.identity;
                    }
                }
            }
        }
    }

    /// Returns the groups in any order.
    pub(super) fn into_groups(self) -> Vec<PodGroup> {
        self.groups
    }
}
