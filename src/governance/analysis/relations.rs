//! The part of an analysis about objects that are no workloads, and about how objects fit together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Analysis;
use crate::governance::{Compliance, Origin, ReportError, Tally};
use crate::inventory::{Content, Identity, Inventory, NewObject, Related};
use crate::policy::EnabledRule;
use crate::rules::{Check, Findings, ObjectContext, Relations, RuleId, Violations};
use crate::workload::{
    Kind, Kinds, Labels, Metadata, Object, ObjectKind, OtherObject, Owner, Parsed, Resource, TypeMeta,
    Workload, WorkloadKey,
};

impl Analysis<'_> {
    /// Notes that the input has every object of these kinds.
    pub fn close(&mut self, kinds: Kinds) {
        self.facts.closed().close(kinds);
    }

    /// Notes that the input has every object of a kind in one namespace.
    pub fn close_within(&mut self, kind: Kind, namespace: &str) {
        self.facts.closed().close_within(kind, namespace);
    }

    /// Notes that a list of a kind failed, so that the rules that need it can't tell.
    pub fn miss(&mut self, kind: Kind) {
        for enabled in self.policy.rules().iter().filter(|enabled| enabled.needs().contains(kind)) {
            self.miss_for(enabled.rule.id);
        }
    }

    /// Notes that a list that a rule reads failed, so that the rule can't tell.
    pub fn miss_for(&mut self, rule: RuleId) {
        *self.missed.entry(rule).or_default() += 1;
    }

    /// Adds an object for the rules about relations. A pod or template among them is not evaluated itself.
    pub fn add_facts(&mut self, object: &Object<'_>) {
        match &object.parsed {
            Parsed::Workload(workload) => self.add_workload_facts(workload),
            Parsed::List(items) => items.iter().for_each(|item| self.add_facts(item)),
            Parsed::Related(other) => self.add_other(other, &object.types, None),
            Parsed::Other { .. } | Parsed::Foreign => {}
        }
    }

    /// Adds a live pod or template as [`Analysis::add_facts`] does.
    pub fn add_workload_facts(&mut self, workload: &Workload<'_>) {
        let namespace = workload.metadata.namespace.as_deref().unwrap_or_default();
        self.annotated.add_workload(namespace, workload);
        if !self.facts.is_unneeded() {
            self.note_workload(namespace, workload, None);
        }
        self.evaluate_custom_rules(namespace, workload, None);
    }

    /// Adds a live object that is no workload, and that a watch keeps.
    pub fn add_watched(&mut self, resource: &Resource, related: &Arc<Related>) {
        if self.policy.evaluates_types() {
            self.evaluate_other(&resource.types(), &related.metadata, None);
        }
        self.add_related(Arc::clone(related), None);
    }

    /// Keeps what rules about relations read of a pod or template.
    pub(super) fn note_workload(
        &mut self,
        namespace: &str,
        workload: &Workload<'_>,
        origin: Option<Origin<'_>>,
    ) {
        if workload.is_patch() {
            return;
        }
        let kind = ObjectKind::Workload(workload.kind);
        let object = self.object(kind, namespace, workload.name(), workload.labels(), origin);
        self.facts.add_workload(workload, &object);
    }

    /// Evaluates an object that is no workload, and keeps what rules about relations read of it.
    pub(super) fn add_other(&mut self, object: &OtherObject, types: &TypeMeta, origin: Option<Origin<'_>>) {
        // A kustomize patch has only the fields that it changes.
        if !object.content.contains_key("spec") && has_spec(object.kind) {
            return;
        }
        if let Some(metadata) = object.content.get("metadata").map(Metadata::deserialize) {
            let metadata = metadata.unwrap_or_default();
            self.note_exemptions_of(types, &metadata);
            self.evaluate_other(types, &metadata, origin);
        }
        if object.kind == Kind::Namespace {
            self.note_namespace(object, types);
        }
        let related = match Related::read(object) {
            Ok(related) => related,
            Err(_) if !self.is_reported => return,
            Err(message) => {
                let (source, line) = origin
                    .map_or((String::new(), None), |origin| (origin.source.to_owned(), Some(origin.line)));
                let message = format!("not a valid {}: {message}", types.kind);
                return self.fail(ReportError { source, document: None, line, message });
            }
        };
        self.add_related(Arc::new(related), origin);
    }

    fn add_related(&mut self, related: Arc<Related>, origin: Option<Origin<'_>>) {
        let own = related.metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        let namespace = match own {
            _ if !related.kind.is_namespaced() => "",
            Some(own) => own,
            // Some of these kinds are cluster-scoped.
            None if related.kind == Kind::ForeignNetworkPolicy => "",
            None => self.scope.default_namespace(),
        };
        let kind = ObjectKind::Other(related.kind);
        let identity =
            self.identity(kind, namespace, related.name(), related.metadata.labels.as_ref(), origin);
        if let Content::LimitRange(range) = &related.content {
            return self.note_limit_range(namespace, range);
        }
        if identity.is_asked {
            self.evaluate_object(&related, &identity, origin);
        }
        self.facts.add_related(related, identity);
    }

    fn evaluate_object(&mut self, object: &Related, identity: &Identity, origin: Option<Origin<'_>>) {
        self.others.objects += 1;
        let mut kept = Vec::new();
        let mut tally = Tally::default();
        for enabled in self.policy.rules() {
            for check in enabled.rule.checks() {
                let Check::Object { reads, check } = check else { continue };
                if !reads.contains(&object.kind) {
                    continue;
                }
                let mut found = Violations::new(self.keep);
                found.begin(enabled.rule.id, enabled.severity);
                let context = ObjectContext { object, parameters: &enabled.parameters, now: self.now };
                check(&context, &mut found);
                self.recheck_at = self.recheck_at.into_iter().chain(found.next_check()).min();
                if let Some(exemption) = self.exemption(enabled.rule.id, identity) {
                    let mut exempt = Tally::default();
                    exempt.set(enabled.index, found.count());
                    self.add_exempt(exemption, &exempt);
                    self.exempted_others.add(&exempt);
                } else {
                    tally.set(enabled.index, found.count());
                    kept.extend(found.into_kept());
                }
            }
        }
        self.others.add(&identity.namespace, &tally);
        let named = Owner { kind: identity.kind.name(), name: &identity.name };
        self.violations.add_certain(&identity.namespace, named, origin, kept.iter().map(Into::into));
    }

    /// Returns the place of the exemption that accepts a rule's findings in an object, if there is one.
    fn exemption(&self, rule: RuleId, object: &Identity) -> Option<usize> {
        let (source, _) = object.source.as_ref()?;
        self.exemptions?.of(rule, source, self.now)
    }

    /// Keeps the identity of an object.
    pub(super) fn identity(
        &mut self,
        kind: ObjectKind,
        namespace: &str,
        name: &str,
        labels: Option<&Labels<'_>>,
        origin: Option<Origin<'_>>,
    ) -> Identity {
        let object = self.object(kind, namespace, name, labels, origin);
        self.facts.identity(&object)
    }

    /// Names an object, and decides if the user asked for it. An object of the cluster is asked for if no namespace is
    /// named.
    fn object<'o>(
        &self,
        kind: ObjectKind,
        namespace: &'o str,
        name: &'o str,
        labels: Option<&Labels<'_>>,
        origin: Option<Origin<'o>>,
    ) -> NewObject<'o> {
        let is_of_cluster = matches!(kind, ObjectKind::Other(kind) if !kind.is_namespaced());
        let is_within = if is_of_cluster {
            self.scope.namespaces.is_empty()
        } else {
            self.scope.asks_for(namespace) && !self.scope.leaves_out(namespace)
        };
        NewObject {
            namespace,
            name,
            kind,
            source: origin.map(|origin| (origin.source, origin.line)),
            is_asked: self.is_reported && is_within && self.scope.selects_labels(labels),
        }
    }

    /// Runs the rules about relations, and returns how often each one can't tell.
    pub(super) fn evaluate_relations(&mut self) -> BTreeMap<RuleId, u64> {
        let mut unknown = std::mem::take(&mut self.missed);
        if self.facts.is_unneeded() {
            return unknown;
        }
        let inventory = Inventory::new(std::mem::take(&mut self.facts));
        for enabled in self.policy.rules() {
            for check in enabled.rule.checks() {
                let Check::Relation { check, .. } = check else { continue };
                let mut found = Findings::new(enabled.rule.id, enabled.severity, self.keep);
                let context =
                    Relations { inventory: &inventory, parameters: &enabled.parameters, now: self.now };
                check(&context, &mut found);
                self.recheck_at = self.recheck_at.into_iter().chain(found.next_check()).min();
                if found.unknown_count() > 0 {
                    *unknown.entry(enabled.rule.id).or_default() += found.unknown_count();
                }
                self.add_findings(enabled, &found, None);
            }
        }
        unknown
    }

    /// Adds the findings of a rule; the origin is that of their object, if it is at hand.
    pub(super) fn add_findings(
        &mut self,
        enabled: &EnabledRule,
        found: &Findings,
        origin: Option<Origin<'_>>,
    ) {
        for (object, violation) in found.found() {
            let mut tally = Tally::default();
            tally.set(enabled.index, 1);
            if let Some(exemption) = self.exemption(enabled.rule.id, object) {
                self.add_exempt(exemption, &tally);
                self.exempted_others.add(&tally);
                continue;
            }
            match object.kind {
                ObjectKind::Workload(kind) => {
                    let itself = Owner { kind: kind.name(), name: &object.name };
                    let owner = object.owner.as_deref().and_then(|owner| Owner::parse(owner).ok());
                    let key = WorkloadKey::new(&object.namespace, owner.unwrap_or(itself));
                    self.count(&object.namespace, &tally);
                    let is_in_breach = enabled.half_points > 0 && enabled.severity >= Compliance::THRESHOLD;
                    self.workloads.entry(key).or_default().add(is_in_breach, &tally);
                }
                ObjectKind::Other(_) => self.others.add(&object.namespace, &tally),
            }
            let violation = violation.as_deref().map(Into::into);
            self.violations.add_known(object, origin, violation.into_iter());
        }
    }
}

/// Returns true if objects of a kind mean nothing without a spec.
fn has_spec(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Service
            | Kind::Ingress
            | Kind::NetworkPolicy
            | Kind::PodDisruptionBudget
            | Kind::HorizontalPodAutoscaler
            | Kind::ScaledObject
    )
}

#[cfg(test)]
mod tests;
