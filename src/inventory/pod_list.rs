//! The pods of an input by name, in little memory. Only measurements of their use of resources need them one by one.

use std::sync::{Arc, OnceLock};

use super::{Identity, NewObject, PodShape};
use crate::workload::{ObjectKind, WorkloadKind};

/// The pods of an input with a limit, in any order.
///
/// An input can have hundreds of thousands of pods, so all names are in one text. Pods that follow each other mostly
/// belong together, and share the rest.
#[derive(Debug, Default)]
pub(super) struct PodList {
    runs: Vec<Run>,
    names: String,
    pods: Vec<Named>,
    /// The pods sorted by namespace and name, once one of them was asked for.
    sorted: OnceLock<Vec<u32>>,
}

/// Pods that follow each other and have this in common.
#[derive(Debug)]
struct Run {
    /// The place of the first one.
    first: u32,
    namespace: Arc<str>,
    owner: Option<Arc<str>>,
    source: Option<Arc<str>>,
    shape: Arc<PodShape<'static>>,
    is_asked: bool,
}

/// The name of a pod, and the line of the pod in its source.
#[derive(Debug)]
struct Named {
    end: u32,
    line: u32,
}

impl PodList {
    /// Adds a pod, unless it has no limit.
    pub(super) fn add(
        &mut self,
        identity: (&Arc<str>, Option<&Arc<str>>, Option<&Arc<str>>),
        pod: &NewObject<'_>,
        shape: &Arc<PodShape<'static>>,
    ) {
        if !shape.limits.iter().any(|limits| limits.memory.is_some() || limits.cpu.is_some()) {
            return;
        }
        let (namespace, owner, source) = identity;
        let is_same = |run: &Run| {
            run.is_asked == pod.is_asked
                && *run.namespace == **namespace
                && run.owner.as_ref() == owner
                && run.source.as_ref() == source
                && Arc::ptr_eq(&run.shape, shape)
        };
        if !self.runs.last().is_some_and(is_same) {
            self.runs.push(Run {
                first: narrow(self.pods.len()),
                namespace: Arc::clone(namespace),
                owner: owner.cloned(),
                source: source.cloned(),
                shape: Arc::clone(shape),
                is_asked: pod.is_asked,
            });
        }
        self.names.push_str(pod.name);
        let line = pod.source.map_or(0, |(_, line)| narrow(line));
        self.pods.push(Named { end: narrow(self.names.len()), line });
    }

    /// Adds the pods of another part.
    pub(super) fn merge(&mut self, part: Self) {
        let (pods, names) = (narrow(self.pods.len()), narrow(self.names.len()));
        self.runs.extend(part.runs.into_iter().map(|run| Run { first: run.first + pods, ..run }));
        self.pods.extend(part.pods.into_iter().map(|pod| Named { end: pod.end + names, ..pod }));
        self.names.push_str(&part.names);
    }

    /// Returns the number of pods with a limit of memory that the user asked for.
    pub(super) fn with_memory_limit(&self) -> u64 {
        let ends = self.runs.iter().skip(1).map(|run| run.first).chain([narrow(self.pods.len())]);
        let is_limited = |run: &Run| run.is_asked && run.shape.limits.iter().any(|one| one.memory.is_some());
        let limited = self.runs.iter().zip(ends).filter(|(run, _)| is_limited(run));
        limited.map(|(run, end)| u64::from(end - run.first)).sum()
    }

    /// Finds a pod. Files can have several of one name: the first by its source counts, in any order of the input.
    pub(super) fn find(&self, namespace: &str, name: &str) -> Option<(Identity, &PodShape<'static>)> {
        let sorted = self.sorted.get_or_init(|| {
            let mut places: Vec<u32> = (0..narrow(self.pods.len())).collect();
            places.sort_by_cached_key(|place| {
                let (run, line) = (self.run(*place), self.pods[*place as usize].line);
                (run.namespace.clone(), self.name(*place), run.source.clone(), line)
            });
            places
        });
        let of = |place: &u32| (&*self.run(*place).namespace, self.name(*place));
        let place = *sorted.get(sorted.partition_point(|place| of(place) < (namespace, name)))?;
        if of(&place) != (namespace, name) {
            return None;
        }
        let run = self.run(place);
        let line = self.pods[place as usize].line as usize;
        let identity = Identity {
            namespace: Arc::clone(&run.namespace),
            name: name.into(),
            kind: ObjectKind::Workload(WorkloadKind::Pod),
            owner: run.owner.clone(),
            source: run.source.clone().map(|source| (source, line)),
            is_asked: run.is_asked,
        };
        Some((identity, &run.shape))
    }

    fn run(&self, place: u32) -> &Run {
        &self.runs[self.runs.partition_point(|run| run.first <= place) - 1]
    }

    fn name(&self, place: u32) -> &str {
        let start = place.checked_sub(1).map_or(0, |before| self.pods[before as usize].end);
        &self.names[start as usize..self.pods[place as usize].end as usize]
    }
}

/// Makes a number as small as it is kept: no input comes near the limit.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Limits;
    use crate::workload::{Quantity, Text};

    fn quantity(text: &str) -> Quantity {
        serde_json::from_value(text.into()).unwrap()
    }

    fn shape(memory: Option<&str>) -> Arc<PodShape<'static>> {
        let memory = memory.map(quantity);
        let limits = Limits { container: Text::from("c"), memory, cpu: None };
        Arc::new(PodShape { limits: vec![limits], ..PodShape::default() })
    }

    fn add(list: &mut PodList, namespace: &str, name: &str, line: usize, shape: &Arc<PodShape<'static>>) {
        let pod = NewObject {
            namespace,
            name,
            kind: ObjectKind::Workload(WorkloadKind::Pod),
            source: Some(("f", line)),
            is_asked: namespace != "other",
        };
        list.add((&namespace.into(), None, Some(&"f".into())), &pod, shape);
    }

    #[test]
    fn pods_are_found_by_name_in_whatever_order_they_came() {
        let limited = shape(Some("1Gi"));
        let (mut list, mut part) = (PodList::default(), PodList::default());
        add(&mut list, "b", "web-2", 9, &limited);
        add(&mut list, "b", "free", 1, &shape(None));
        add(&mut list, "other", "x", 4, &limited);
        add(&mut part, "b", "web-1", 7, &limited);
        add(&mut part, "b", "web-2", 3, &limited);
        add(&mut part, "a", "web-2", 5, &shape(Some("2Gi")));
        list.merge(part);
        let find = |namespace, name| list.find(namespace, name).map(|(found, _)| found.source.unwrap().1);
        assert_eq!((find("b", "web-1"), find("b", "web-2"), find("a", "web-2")), (Some(7), Some(3), Some(5)));
        assert_eq!((find("b", "free"), find("b", "web"), find("c", "web-1")), (None, None, None));
        assert_eq!(list.find("a", "web-2").unwrap().1.limits[0].memory, Some(quantity("2Gi")));
        assert_eq!(list.with_memory_limit(), 4);
    }
}
