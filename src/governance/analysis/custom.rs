//! The part of an analysis about rules of a policy's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Analysis;
use crate::governance::Origin;
use crate::inventory::Identity;
use crate::policy::{CustomRule, EnabledRule};
use crate::rules::{Findings, RuleId};
use crate::workload::{ObjectKind, OtherObject, TypeMeta, Workload};

/// The state of the evaluation of rules of a policy's own.
#[derive(Debug, Default)]
pub(super) struct CustomState {
    /// The objects whose evaluation waits for the Namespaces.
    waiting: Vec<(Identity, Arc<Value>)>,
    /// The Namespaces by name, if a rule reads them.
    namespaces: BTreeMap<String, Value>,
    /// The first reason, in alphabetical order, why a rule can't tell.
    pub(super) reasons: BTreeMap<RuleId, String>,
}

impl CustomState {
    /// Adds the state of another part.
    pub(super) fn merge(&mut self, part: Self) {
        self.waiting.extend(part.waiting);
        self.namespaces.extend(part.namespaces);
        for (rule, reason) in part.reasons {
            self.note(rule, reason);
        }
    }

    fn note(&mut self, rule: RuleId, reason: String) {
        let known = self.reasons.entry(rule).or_insert_with(|| reason.clone());
        if reason < *known {
            *known = reason;
        }
    }
}

impl Analysis<'_> {
    /// Evaluates an object under the rules of the policy's own.
    pub(super) fn evaluate_custom_rules(
        &mut self,
        namespace: &str,
        workload: &Workload<'_>,
        origin: Option<Origin<'_>>,
    ) {
        let Some(object) = &workload.raw else { return };
        if workload.is_managed() {
            return;
        }
        let kind = ObjectKind::Workload(workload.kind);
        let mut identity = self.identity(kind, namespace, workload.name(), workload.labels(), origin);
        if !identity.is_asked {
            return;
        }
        if workload.is_pod() && workload.metadata.controller().is_some() {
            identity.owner = Some(self.facts.text(&workload.owner().to_string()));
        }
        let mut waits = false;
        for (enabled, custom) in custom_rules(self.policy.rules()) {
            if custom.kinds.contains(workload.kind) {
                if custom.reads_namespace() {
                    waits = true;
                } else {
                    self.evaluate_custom_rule((enabled, custom), &identity, (object, origin), None);
                }
            }
        }
        if waits {
            self.custom.waiting.push((identity, Arc::clone(object)));
        }
    }

    /// Keeps a Namespace if a rule of the policy's own reads it.
    pub(super) fn note_namespace(&mut self, object: &OtherObject, types: &TypeMeta) {
        if self.policy.reads_namespace() {
            let mut fields = object.content.clone();
            fields.insert("apiVersion".to_owned(), types.api_version.clone().into());
            fields.insert("kind".to_owned(), types.kind.clone().into());
            self.add_namespace(Value::Object(fields));
        }
    }

    /// Adds a Namespace, which rules of the policy's own may read.
    pub fn add_namespace(&mut self, namespace: Value) {
        if let Some(name) = namespace.pointer("/metadata/name").and_then(Value::as_str) {
            self.custom.namespaces.insert(name.to_owned(), namespace);
        }
    }

    /// Evaluates the objects that waited for the Namespaces.
    pub(super) fn evaluate_waiting(&mut self) {
        let namespaces = std::mem::take(&mut self.custom.namespaces);
        for (identity, object) in std::mem::take(&mut self.custom.waiting) {
            let ObjectKind::Workload(kind) = identity.kind else { continue };
            let namespace = namespaces.get(&*identity.namespace);
            for (enabled, custom) in custom_rules(self.policy.rules()) {
                if custom.kinds.contains(kind) && custom.reads_namespace() {
                    self.evaluate_custom_rule((enabled, custom), &identity, (&object, None), namespace);
                }
            }
        }
    }

    fn evaluate_custom_rule(
        &mut self,
        (enabled, custom): (&EnabledRule, &CustomRule),
        identity: &Identity,
        (object, origin): (&Value, Option<Origin<'_>>),
        namespace: Option<&Value>,
    ) {
        let rule = enabled.rule.id;
        let mut found = Findings::new(rule, enabled.severity, self.keep);
        match custom.evaluate(object, namespace) {
            Ok(true) => return,
            Ok(false) => found.report(identity, format_args!("spec"), format_args!("{}", custom.message)),
            Err(reason) => {
                let Identity { namespace: of, kind, name, .. } = identity;
                let reason = if custom.reads_namespace() && namespace.is_none() {
                    "its Namespace was not read".to_owned()
                } else {
                    reason.to_string()
                };
                *self.missed.entry(rule).or_default() += 1;
                self.custom.note(rule, format!("{of}/{}/{name}: {reason}", kind.name()));
            }
        }
        self.add_findings(enabled, &found, origin);
    }
}

fn custom_rules(rules: &[EnabledRule]) -> impl Iterator<Item = (&EnabledRule, &CustomRule)> {
    rules.iter().filter_map(|enabled| Some((enabled, enabled.custom.as_deref()?)))
}

#[cfg(test)]
mod tests;
