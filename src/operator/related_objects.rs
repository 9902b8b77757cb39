//! The objects beside pods and workloads that rules of policies read, and the state of their lists. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::cluster::{ListMark, Store};
use crate::governance::Analysis;
use crate::inventory::Related;
use crate::rules::RuleId;
use crate::workload::{Kind, Kinds, OtherObject, RESOURCES, Resource, Workload, WorkloadKind};

/// A resource whose objects are followed, in one namespace or in all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelatedList {
    /// The resource.
    pub resource: &'static Resource,
    /// The namespace; `None` for all of them, and for a resource of the cluster.
    pub namespace: Option<String>,
}

/// The result of the latest attempt to list a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListState {
    /// Every object is known.
    Complete,
    /// The API server does not serve the resource, so there is no object.
    NotServed,
    /// There is no permission to list and watch the resource.
    Refused,
    /// The list failed for this reason.
    Failed(String),
}

/// An object that a watch reported, as far as rules read it.
#[derive(Debug, PartialEq)]
pub enum WatchedObject {
    /// An object that is no workload.
    Related(Arc<Related>),
    /// A workload of a custom kind, which has a pod template.
    Template(Box<Workload<'static>>),
    /// An object that can't be read, and the reason.
    Unreadable(String),
}

/// A kind that a rule reads and that could not be read in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadKind {
    /// True if a permission is missing.
    pub is_refused: bool,
    /// The problem, in words.
    pub problem: String,
    /// The rules that can't tell.
    pub rules: Vec<RuleId>,
}

/// The objects beside pods and workloads that rules of policies read.
#[derive(Debug, Default)]
pub struct RelatedObjects {
    /// By namespace, which is empty for objects of the cluster.
    objects: Store<Key, WatchedObject>,
    /// The state of each list that was tried.
    lists: BTreeMap<RelatedList, ListState>,
}

/// An object within its namespace.
type Key = (&'static Resource, Box<str>);

impl RelatedList {
    /// Returns the lists of everything that rules can read beside what the operator always follows: pods and the
    /// workloads of Kubernetes. There is one for each of `scopes` if the objects have a namespace.
    pub fn all(scopes: &[Option<String>]) -> Vec<Self> {
        let lists = RESOURCES.iter().filter(|resource| is_followed(resource)).flat_map(|resource| {
            let scopes = if resource.is_namespaced { scopes } else { &[None] };
            scopes.iter().map(|namespace| Self { resource, namespace: namespace.clone() })
        });
        lists.collect()
    }
}

fn is_followed(resource: &Resource) -> bool {
    match resource.kind {
        Kind::Pod => false,
        Kind::Template => resource.is_custom,
        kind => kind.resources().any(|known| known == resource),
    }
}

impl WatchedObject {
    /// Reads the JSON of an object.
    pub fn read(resource: &Resource, json: &str) -> Self {
        let read = match resource.kind {
            Kind::Template => template(resource, json).map(|workload| Self::Template(Box::new(workload))),
            kind => related(kind, json).map(|related| Self::Related(Arc::new(related))),
        };
        read.unwrap_or_else(Self::Unreadable)
    }
}

fn template(resource: &Resource, json: &str) -> Result<Workload<'static>, String> {
    let kind = WorkloadKind::find(&resource.api_version(), resource.name).ok_or("no workload")?;
    Workload::from_json_owned(kind, json).map_err(|error| error.to_string())
}

fn related(kind: Kind, json: &str) -> Result<Related, String> {
    let content = serde_json::from_str::<Map<String, Value>>(json).map_err(|error| error.to_string())?;
    Related::read(&OtherObject { kind, content })
}

impl RelatedObjects {
    /// Starts a list. Known objects stay until [`RelatedObjects::end_list`].
    pub fn begin_list(&mut self) -> ListMark {
        self.objects.begin_list()
    }

    /// Adds or replaces an object. Returns false if it is as before.
    pub fn apply(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        object: WatchedObject,
    ) -> bool {
        let key = (resource, Box::from(name));
        let is_new = self.objects.see(namespace, &key).is_none_or(|known| *known != object);
        if is_new {
            self.objects.insert(namespace, key, object);
        }
        is_new
    }

    /// Removes an object. Returns false if there is none.
    pub fn delete(&mut self, resource: &'static Resource, namespace: &str, name: &str) -> bool {
        self.objects.remove(namespace, &(resource, Box::from(name))).is_some()
    }

    /// Ends a list: removes the objects that were not listed since its start, and returns their namespaces.
    pub fn end_list(&mut self, list: &RelatedList, begun: ListMark) -> Vec<Box<str>> {
        let covers = |key: &Key, _: &WatchedObject| key.0 == list.resource;
        let removed = self.objects.end_list(begun, list.namespace.as_deref(), covers);
        removed.into_iter().map(|(namespace, ..)| namespace).collect()
    }

    /// Sets the state of a list. Only a complete one has objects. Returns false if the state is as before.
    pub fn set_state(&mut self, list: &RelatedList, state: ListState) -> bool {
        if state != ListState::Complete {
            self.clear(list);
        }
        let before = self.lists.insert(list.clone(), state);
        before.as_ref() != self.lists.get(list)
    }

    /// Removes the objects and the state of a list that is no longer followed.
    pub fn forget(&mut self, list: &RelatedList) {
        self.clear(list);
        self.lists.remove(list);
    }

    fn clear(&mut self, list: &RelatedList) {
        let begun = self.begin_list();
        self.end_list(list, begun);
    }

    /// Returns true if a list that rules need in a namespace was not tried yet.
    pub fn is_awaited(&self, kinds: Kinds, namespace: &str) -> bool {
        let mut followed = RESOURCES.iter().filter(|one| kinds.contains(one.kind) && is_followed(one));
        followed.any(|resource| self.state(resource, namespace).is_none())
    }

    /// Adds what the rules of an analysis read in a namespace. A kind that was read is closed there. Returns the others.
    pub fn add_to(&self, analysis: &mut Analysis<'_>, namespace: &str) -> Vec<UnreadKind> {
        let kinds = analysis.policy().follows();
        self.add(analysis, kinds, Some(namespace))
    }

    /// Adds what the rules of an analysis read in the whole cluster, as [`RelatedObjects::add_to`] does.
    pub fn add_all_to(&self, analysis: &mut Analysis<'_>) -> Vec<UnreadKind> {
        let kinds = analysis.policy().reads();
        self.add(analysis, kinds, None)
    }

    fn add(&self, analysis: &mut Analysis<'_>, kinds: Kinds, namespace: Option<&str>) -> Vec<UnreadKind> {
        let mut unread = Vec::new();
        if kinds.is_empty() {
            return unread;
        }
        for kind in kinds.iter() {
            match self.problem(kind, namespace) {
                None => match namespace.filter(|_| kind.is_namespaced()) {
                    Some(namespace) => analysis.close_within(kind, namespace),
                    None => analysis.close(Kinds::of(&[kind])),
                },
                Some((is_refused, problem)) => {
                    let rules = analysis.policy().rules().iter();
                    let rules = rules.filter(|enabled| enabled.rule.reads_for_templates().contains(kind));
                    let rules: Vec<RuleId> = rules.map(|enabled| enabled.rule.id).collect();
                    for rule in &rules {
                        analysis.miss_for(*rule);
                    }
                    unread.push(UnreadKind { is_refused, problem, rules });
                }
            }
        }
        for ((resource, _), object) in self.within(namespace).filter(|((one, _), _)| kinds.contains(one.kind))
        {
            match object {
                WatchedObject::Related(related) => analysis.add_watched(resource, related),
                WatchedObject::Template(workload) => analysis.add_workload_facts(workload),
                WatchedObject::Unreadable(_) => {}
            }
        }
        unread
    }

    /// Returns the objects of a namespace and those of the cluster, or the objects of all namespaces.
    fn within<'s>(
        &'s self,
        namespace: Option<&'s str>,
    ) -> Box<dyn Iterator<Item = (&'s Key, &'s WatchedObject)> + 's> {
        match namespace {
            Some(namespace) => Box::new(self.objects.group(namespace).chain(self.objects.group(""))),
            None => Box::new(self.objects.iter().map(|(_, key, object)| (key, object))),
        }
    }

    /// Returns the problem with a kind in a namespace or in all, and true if a permission is missing; `None` if all was
    /// read.
    fn problem(&self, kind: Kind, namespace: Option<&str>) -> Option<(bool, String)> {
        for resource in kind.resources().filter(|resource| is_followed(resource)) {
            let plural = resource.plural;
            match self.state(resource, namespace.unwrap_or_default()) {
                // metrics-server is missing, but every pod uses resources.
                Some(ListState::NotServed) if kind == Kind::PodMetrics => {
                    return Some((
                        false,
                        "the API server has no metrics of pods: install metrics-server".to_owned(),
                    ));
                }
                Some(ListState::Complete | ListState::NotServed) => {}
                Some(ListState::Refused) => {
                    return Some((true, format!("no permission to list and watch {plural}")));
                }
                Some(ListState::Failed(reason)) => return Some((false, format!("{plural}: {reason}"))),
                None => return Some((false, format!("{plural}: not listed yet"))),
            }
        }
        let unreadable = self.within(namespace).filter_map(|((resource, name), object)| match object {
            WatchedObject::Unreadable(reason) if resource.kind == kind => {
                Some(format!("{} {name}: {reason}", resource.name))
            }
            _ => None,
        });
        unreadable.min().map(|problem| (false, problem))
    }

    fn state(&self, resource: &'static Resource, namespace: &str) -> Option<&ListState> {
        let of = |namespace| self.lists.get(&RelatedList { resource, namespace });
        of(None).or_else(|| of(Some(namespace.to_owned())))
    }
}

impl fmt::Display for UnreadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<&str> = self.rules.iter().map(|rule| rule.as_str()).collect();
        write!(f, "{} (for {})", self.problem, rules.join(", "))
    }
}

#[cfg(test)]
mod tests;
