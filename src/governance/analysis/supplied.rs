//! The part of an analysis about requests and limits that a `LimitRange` of the input supplies to new pods.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Analysis;
use crate::governance::{Tally, ViolationRow, Workloads};
use crate::inventory::{Amounts, LimitRange};
use crate::policy::EffectivePolicy;
use crate::rules::{Context, MISSING_RESOURCES, lacking, lacking_message};
use crate::workload::{Workload, WorkloadKey, WorkloadKind};

/// The `LimitRange`s of the input, and the containers that may need them. Both come in any order.
#[derive(Debug, Default)]
pub(super) struct SupplyState {
    /// The amounts that the `LimitRange`s of a namespace supply.
    supplied: BTreeMap<String, Amounts>,
    lacking: Vec<Lacking>,
}

/// A container without some requests or limits, in a template or in a pod that no API server has stored.
#[derive(Debug)]
struct Lacking {
    workload: WorkloadKey,
    kind: WorkloadKind,
    name: Box<str>,
    container: Box<str>,
    amounts: Amounts,
}

/// A row of the list of violations: namespace, kind, name, container and message.
type Row = (String, String, Box<str>, Box<str>, String);

impl SupplyState {
    /// Adds the state of another part.
    pub(super) fn merge(&mut self, part: Self) {
        for (namespace, amounts) in part.supplied {
            self.supply(&namespace, amounts);
        }
        self.lacking.extend(part.lacking);
    }

    fn supply(&mut self, namespace: &str, amounts: Amounts) {
        let known = self.supplied.entry(namespace.to_owned()).or_default();
        *known = known.union(amounts);
    }
}

impl Analysis<'_> {
    /// Notes what a `LimitRange` supplies in its namespace.
    pub(super) fn note_limit_range(&mut self, namespace: &str, range: &LimitRange) {
        self.supplies.supply(namespace, range.supplied());
    }

    /// Notes the containers to which a `LimitRange` may supply requests and limits. A stored pod has them already.
    pub(super) fn note_lacking(
        &mut self,
        policy: &EffectivePolicy,
        workload: &Workload<'_>,
        key: &WorkloadKey,
    ) {
        if workload.is_pod() && workload.metadata.creation_timestamp.is_some() {
            return;
        }
        let Some(enabled) = policy.get(MISSING_RESOURCES.id) else { return };
        let context = Context { workload, parameters: &enabled.parameters, now: self.now };
        self.supplies.lacking.extend(lacking(&context).map(|(place, amounts)| Lacking {
            workload: key.clone(),
            kind: workload.kind,
            name: workload.name().into(),
            container: (&*place.container.name).into(),
            amounts,
        }));
    }

    /// Takes the findings out of all sums and lists that `LimitRange`s settle, and shortens those that they settle in
    /// part. `with_pods` has the workloads whose templates don't count.
    pub(super) fn leave_out_supplied(&mut self, workloads: &mut Workloads, with_pods: &HashSet<WorkloadKey>) {
        let SupplyState { supplied, lacking } = std::mem::take(&mut self.supplies);
        let Some(enabled) = self.policy.get(MISSING_RESOURCES.id) else { return };
        let mut settled: HashMap<WorkloadKey, u64> = HashMap::new();
        let mut rows: HashMap<Row, Amounts> = HashMap::new();
        for Lacking { workload, kind, name, container, amounts } in lacking {
            let Some(supplied) = supplied.get(workload.namespace()) else { continue };
            let left = amounts.without(*supplied);
            let is_counted = kind == WorkloadKind::Pod || !with_pods.contains(&workload);
            if left != amounts && is_counted {
                let message = lacking_message(amounts);
                let place =
                    (workload.namespace().to_owned(), kind.name().to_owned(), name, container, message);
                rows.insert(place, left);
                if left.is_empty() {
                    *settled.entry(workload).or_default() += 1;
                }
            }
        }
        if rows.is_empty() {
            return;
        }
        workloads.reduce(|key, found| {
            let mut gone = Tally::default();
            gone.set(enabled.index, *settled.get(key)?);
            if let Some(sum) = self.namespaces.get_mut(key.namespace()) {
                sum.remove(&gone);
            }
            let mut left = found.clone();
            left.remove(&gone);
            Some(if left.has_findings() { left } else { Tally::default() })
        });
        let left_of = |row: &ViolationRow<'_>| {
            let container = row.container.filter(|_| row.rule == MISSING_RESOURCES.id)?;
            let (namespace, kind, message) =
                (row.namespace.to_owned(), row.kind.to_owned(), row.message.to_owned());
            rows.get(&(namespace, kind, row.name.into(), container.into(), message)).copied()
        };
        self.violations.retain(|row| left_of(row).is_none_or(|left| !left.is_empty()));
        self.violations.rewrite(|row| left_of(row).map(lacking_message));
    }
}

#[cfg(test)]
mod tests;
