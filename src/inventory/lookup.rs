//! The facts of a whole input, sorted and indexed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use super::pod_index::PodIndex;
use super::pod_list::PodList;
use super::{Closed, Facts, Identity, Known, Minimum, PodGroup, PodShape, Standing};
use crate::workload::{Kind, LabelSelector, Owner, WorkloadKind};

/// The facts of a whole input.
#[derive(Debug)]
pub struct Inventory {
    groups: Vec<PodGroup>,
    by_name: PodList,
    /// The groups by label, once a selector looks for some.
    index: OnceLock<PodIndex>,
    /// The places of the groups that stand for a workload.
    workloads: Vec<u32>,
    known: BTreeMap<Kind, Vec<Known>>,
    closed: Closed,
    foreign_pods: HashSet<Arc<str>>,
    has_makers: bool,
    /// The autoscalers by namespace and by the kind and name of their target.
    minimums: OnceLock<HashMap<Target, i64>>,
    /// The places of the objects of a kind that select each group.
    selectors: [OnceLock<Vec<Vec<u32>>>; 3],
}

/// The target of an autoscaler: namespace, group, kind and name.
type Target = (String, String, String, String);

/// The pods that a selector matches.
#[derive(Debug)]
pub enum Selected<'a> {
    /// These groups of pods.
    Pods(Vec<&'a PodGroup>),
    /// No pod, and the input has all of them.
    Nothing,
    /// No pod in the input, which may lack some.
    Unknown,
}

impl Inventory {
    /// Sorts and indexes facts.
    pub fn new(facts: Facts) -> Self {
        let Facts { pods, by_name, mut known, foreign_pods, has_makers, closed, .. } = facts;
        let mut groups = pods.into_groups();
        groups.sort_by(|a, b| a.identity.cmp(&b.identity).then_with(|| a.shape.cmp(&b.shape)));
        for objects in known.values_mut() {
            // An input may have two objects of one name. Their places do not decide which one is found.
            let text = |known: &Known| format!("{:?}", known.content());
            objects.sort_by(|a, b| {
                let [one, other] = [a, b].map(|known| (&known.identity.namespace, &known.identity.name));
                one.cmp(&other).then_with(|| text(a).cmp(&text(b))).then_with(|| a.identity.cmp(&b.identity))
            });
        }
        Self {
            index: OnceLock::new(),
            workloads: workloads(&groups),
            groups,
            by_name,
            known,
            closed,
            foreign_pods,
            has_makers,
            minimums: OnceLock::new(),
            selectors: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    /// Returns the objects of a kind, sorted by namespace and name.
    pub fn all(&self, kind: Kind) -> &[Known] {
        self.known.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// Returns the objects of a kind in a namespace, sorted by name.
    pub fn within(&self, kind: Kind, namespace: &str) -> &[Known] {
        let all = self.all(kind);
        let start = all.partition_point(|known| &*known.identity.namespace < namespace);
        let length = all[start..].partition_point(|known| &*known.identity.namespace == namespace);
        &all[start..start + length]
    }

    /// Finds an object by its name.
    pub fn find(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Known> {
        let all = self.within(kind, namespace);
        let place = all.partition_point(|known| &*known.identity.name < name);
        all.get(place).filter(|known| &*known.identity.name == name)
    }

    /// Returns true if the input has every object of a kind in a namespace.
    pub fn is_closed(&self, kind: Kind, namespace: &str) -> bool {
        self.closed.within(kind, namespace)
    }

    /// Returns true if the input has every object of a kind.
    pub fn is_closed_everywhere(&self, kind: Kind) -> bool {
        self.closed.everywhere(kind)
    }

    /// Finds a pod with a limit by its name, if a rule reads its use of resources.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<(Identity, &PodShape<'static>)> {
        self.by_name.find(namespace, name)
    }

    /// Returns the number of pods with a limit of memory that the user asked for, if a rule reads their use of resources.
    pub fn pods_with_memory_limit(&self) -> u64 {
        self.by_name.with_memory_limit()
    }

    /// Returns every group of pods.
    pub fn groups(&self) -> &[PodGroup] {
        &self.groups
    }

    /// Returns the namespaces with pods or templates.
    pub fn pod_namespaces(&self) -> Vec<&str> {
        // Groups are sorted by namespace.
        let mut namespaces: Vec<&str> = self.groups.iter().map(|group| &*group.identity.namespace).collect();
        namespaces.dedup();
        namespaces
    }

    /// Returns the workloads: templates, pods without a controller, and pods whose workload is not in the input, one
    /// group for each workload.
    pub fn workloads(&self) -> impl Iterator<Item = &PodGroup> {
        self.workloads.iter().filter_map(|place| self.groups.get(*place as usize))
    }

    /// Finds a workload with a template.
    pub fn template(&self, namespace: &str, workload: Owner<'_>) -> Option<&PodGroup> {
        let start = self.groups.partition_point(|group| {
            (&*group.identity.namespace, &*group.identity.name) < (namespace, workload.name)
        });
        self.groups[start..]
            .iter()
            .take_while(|group| {
                &*group.identity.namespace == namespace && &*group.identity.name == workload.name
            })
            .find(|group| group.template().is_some() && group.kind().name() == workload.kind)
    }

    fn index(&self) -> &PodIndex {
        self.index.get_or_init(|| PodIndex::new(&self.groups))
    }

    /// Returns the groups of pods that a selector matches.
    pub fn matching(&self, namespace: &str, selector: &LabelSelector<'_>) -> Vec<&PodGroup> {
        let candidates = self.index().candidates(namespace, selector).iter();
        let groups = candidates.filter_map(|place| self.groups.get(*place as usize));
        groups.filter(|group| group.matches(selector)).collect()
    }

    /// Returns the pods that a selector matches, or if it is known that there are none.
    ///
    /// A label that is set while pods run, such as `role` of a database, is in no template. So a selector that would
    /// match without the keys that nothing in the namespace carries has an unknown answer.
    pub fn select(&self, namespace: &str, selector: &LabelSelector<'_>) -> Selected<'_> {
        let pods = self.matching(namespace, selector);
        if !pods.is_empty() {
            return Selected::Pods(pods);
        }
        if !self.has_all_pods(namespace)
            || !self.matching(namespace, &self.carried(namespace, selector)).is_empty()
        {
            return Selected::Unknown;
        }
        Selected::Nothing
    }

    /// Returns true if the input has all pods and templates of a namespace.
    pub fn has_all_pods(&self, namespace: &str) -> bool {
        [Kind::Pod, Kind::Template].into_iter().all(|kind| self.is_closed(kind, namespace))
            && !self.has_makers
            && !self.foreign_pods.contains(namespace)
    }

    /// Returns true if custom resources in the input may make pods and other objects.
    pub fn has_makers(&self) -> bool {
        self.has_makers
    }

    /// Returns a selector without the labels that nothing in the namespace carries.
    fn carried(&self, namespace: &str, selector: &LabelSelector<'_>) -> LabelSelector<'static> {
        let mut carried = selector.to_static();
        let is_carried = |key: &str| self.index().has_key(namespace, key) || PodGroup::is_added(key);
        carried.match_labels.retain(is_carried);
        carried.match_expressions.retain(|requirement| is_carried(&requirement.key));
        carried
    }

    /// Returns the least number of pods of a workload.
    pub fn minimum(&self, group: &PodGroup) -> Minimum {
        use WorkloadKind::{CloneSet, Deployment, ReplicaSet, ReplicationController, Rollout, StatefulSet};
        let Some(template) = group.template() else {
            return if group.standing == Standing::Alone { Minimum::Known(1) } else { Minimum::Unknown };
        };
        let kind = group.kind();
        let is_scaled = matches!(
            kind,
            Deployment | StatefulSet | ReplicaSet | ReplicationController | Rollout | CloneSet
        );
        if !is_scaled {
            return Minimum::None;
        }
        let namespace = &*group.identity.namespace;
        if let Some(minimum) = self.scaled(namespace, kind, &group.identity.name) {
            return Minimum::Known(minimum);
        }
        let are_closed = [Kind::HorizontalPodAutoscaler, Kind::ScaledObject]
            .into_iter()
            .all(|kind| self.is_closed(kind, namespace));
        match template.replicas {
            Some(replicas) => Minimum::Known(replicas),
            None if are_closed => Minimum::Known(1),
            None => Minimum::Unknown,
        }
    }

    /// Returns the minimum of the autoscaler of a workload, if there is one.
    pub fn scaled(&self, namespace: &str, kind: WorkloadKind, name: &str) -> Option<i64> {
        let minimums = self.minimums.get_or_init(|| {
            let mut minimums: HashMap<Target, i64> = HashMap::new();
            for known in
                [Kind::HorizontalPodAutoscaler, Kind::ScaledObject].iter().flat_map(|kind| self.all(*kind))
            {
                let Some(autoscaler) = known.autoscaler() else { continue };
                let target = (
                    known.identity.namespace.to_string(),
                    autoscaler.group().to_owned(),
                    autoscaler.kind.clone(),
                    autoscaler.name.clone(),
                );
                let least = minimums.entry(target).or_insert(autoscaler.minimum);
                *least = autoscaler.minimum.min(*least);
            }
            minimums
        });
        if minimums.is_empty() {
            return None;
        }
        let group = kind.api_version().split_once('/').map_or("", |(group, _)| group);
        let target = (namespace.to_owned(), group.to_owned(), kind.name().to_owned(), name.to_owned());
        minimums.get(&target).copied()
    }

    /// Returns the objects of a kind that select a group of pods: Services, `NetworkPolicies` or
    /// `PodDisruptionBudgets`.
    pub fn selecting(&self, kind: Kind, group: &PodGroup) -> impl Iterator<Item = &Known> {
        let place = self.place(group);
        let slot = match kind {
            Kind::Service => 0,
            Kind::NetworkPolicy => 1,
            _ => 2,
        };
        let selecting = self.selectors[slot].get_or_init(|| self.all_selecting(kind));
        let places = place.and_then(|place| selecting.get(place)).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(move |place| self.all(kind).get(*place as usize))
    }

    fn all_selecting(&self, kind: Kind) -> Vec<Vec<u32>> {
        if self.all(kind).is_empty() {
            return Vec::new();
        }
        let mut selecting = vec![Vec::new(); self.groups.len()];
        for (place, known) in (0..).zip(self.all(kind)) {
            let Some(selector) = selector_of(known) else { continue };
            for candidate in self.index().candidates(&known.identity.namespace, &selector) {
                let candidate = *candidate as usize;
                if self.groups.get(candidate).is_some_and(|group| group.matches(&selector)) {
                    selecting[candidate].push(place);
                }
            }
        }
        selecting
    }

    /// Returns the place of a group of this inventory.
    fn place(&self, group: &PodGroup) -> Option<usize> {
        let offset = std::ptr::from_ref(group).addr().checked_sub(self.groups.as_ptr().addr())?;
        let place = offset / size_of::<PodGroup>();
        self.groups.get(place).filter(|known| std::ptr::eq(*known, group)).map(|_| place)
    }
}

/// Returns the places of the groups that stand for a workload. Pods with a controller do if its template is missing.
fn workloads(groups: &[PodGroup]) -> Vec<u32> {
    let is_managed = |group: &PodGroup| group.standing == Standing::Managed;
    let mut seen: HashSet<_> = groups.iter().filter(|group| !is_managed(group)).map(workload_key).collect();
    let places =
        (0..).zip(groups).filter(|(_, group)| !is_managed(group) || seen.insert(workload_key(group)));
    places.map(|(place, _)| place).collect()
}

/// Returns the namespace of a group, and its workload as `Kind/name`.
fn workload_key(group: &PodGroup) -> (&str, Cow<'_, str>) {
    let owner = group.identity.owner.as_deref().map(Cow::Borrowed);
    (&group.identity.namespace, owner.unwrap_or_else(|| group.workload().into()))
}

/// Returns the selector of an object that selects pods; `None` if it selects nothing.
fn selector_of(known: &Known) -> Option<LabelSelector<'static>> {
    if let Some(service) = known.service() {
        return service.selects_pods().then(|| service.selector.clone());
    }
    if let Some(policy) = known.network_policy() {
        return Some(policy.selector());
    }
    known.disruption_budget()?.selector.clone()
}
