//! Plans the patch of one workload: one server-side apply document for all policies, and the reasons for the violations
//! that remain. Pure. Other modules decide if the patch is sent.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::constraints::Constraints;
use super::dropped_fields::drop_fields;
use super::enforcing_policy::EnforcingPolicy;
use super::field::{ContainerField, Field, Fields, read, set};
use super::ports::{NoPort, ProbePort, choose};
use super::subject::{PATCHED_BY, Subject, SubjectError};
use crate::governance::evaluate;
use crate::policy::SuggestedFix;
use crate::rules::{self, Fix, FixInput, PartialContainer, RuleId, Violation};
use crate::workload::Workload;

/// The planned fields of a workload, and the violations that remain.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The server-side apply document: the fields that enforcement already owns and the added ones.
    pub document: Value,
    /// The missing fields, which the patch adds.
    pub adds: Fields,
    /// The fields that enforcement already owns.
    pub keeps: Fields,
    /// The first policy that decides an added field, else the policy that the workload's annotation names, else empty.
    pub policy: String,
    /// The violations that remain, one per container and rule.
    pub unfixed: Vec<Unfixed>,
    /// Added fields that a later policy also requires, with the name of that policy.
    pub noted: Vec<(String, ContainerField)>,
    /// The ports of the added probes.
    pub ports: BTreeMap<ContainerField, ProbePort>,
}

/// A violation that the plan does not fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfixed {
    /// The container; `None` if the violation concerns the pod.
    pub container: Option<String>,
    /// The violated rule.
    pub rule: RuleId,
    /// The reason, in sentences without a full stop.
    pub reason: String,
}

impl Plan {
    /// Returns true if there is nothing to add.
    pub fn is_empty(&self) -> bool {
        self.adds.is_empty()
    }

    /// Returns the patch for the maintainer of the workload's source.
    pub fn fix(&self, subject: &Subject) -> SuggestedFix {
        SuggestedFix {
            kind: subject.kind().name().to_owned(),
            name: subject.name().to_owned(),
            patch: self.patch(subject).to_string(),
            reasons: self.port_reasons(),
        }
    }

    /// Explains the port of each added probe, one sentence per container.
    pub fn port_reasons(&self) -> Vec<String> {
        let ports = self.ports.iter().map(|(of, port)| (&of.container, port));
        let ports: BTreeSet<(&String, &ProbePort)> = ports.collect();
        let said = ports.into_iter().map(|(container, ProbePort { port, why })| {
            format!("container {container} is probed on port {port}: {why}")
        });
        said.collect()
    }

    /// Returns the added fields as a strategic merge patch.
    pub fn patch(&self, subject: &Subject) -> Value {
        let mut metadata = json!({ "name": subject.name() });
        if !subject.namespace().is_empty() {
            metadata["namespace"] = json!(subject.namespace());
        }
        json!({
            "apiVersion": subject.kind().api_version(),
            "kind": subject.kind().name(),
            "metadata": metadata,
            "spec": { "template": { "spec": { "containers": subject.partial_containers(&self.adds) } } },
        })
    }
}

/// Plans the patch of a workload under all enforcing policies of its namespace, in any order.
///
/// The first policy that can decide a field decides it; a later policy that requires the same field is noted. Others
/// removed the fields in `barred`, so the plan does not set them.
pub fn plan(
    subject: &Subject,
    policies: &[EnforcingPolicy],
    constraints: &Constraints,
    barred: &BTreeSet<ContainerField>,
    now: Timestamp,
) -> Result<Plan, SubjectError> {
    let mut policies: Vec<&EnforcingPolicy> = policies.iter().collect();
    policies.sort_by(|a, b| a.precedence(b));
    let workload = subject.workload()?;
    let broken: Vec<Vec<Violation>> =
        policies.iter().map(|policy| violations(policy, &workload, now)).collect();
    let asks = || {
        let all = policies.iter().zip(&broken).enumerate();
        all.flat_map(|(index, (policy, broken))| {
            broken.iter().map(move |violation| (index, *policy, violation))
        })
    };
    let mut draft = Draft {
        subject,
        constraints,
        barred,
        adds: Fields::new(),
        ports: BTreeMap::new(),
        decided: BTreeMap::new(),
    };
    let mut reasons = Reasons::new();
    // A field of an earlier policy can depend on a field of a later one, so this repeats until no policy adds a field.
    loop {
        let before = draft.adds.len();
        for (index, policy, violation) in asks() {
            let key = (index, violation.container.as_deref(), violation.rule);
            reasons.insert(key, draft.add_fix(index, policy, violation)?);
        }
        if draft.adds.len() == before {
            break;
        }
    }
    let mut noted = Vec::new();
    for (index, policy, violation) in asks() {
        let fields = draft.asked(policy, violation)?;
        let fields = fields.into_iter().filter(|of| draft.decided.get(of).is_some_and(|by| *by < index));
        noted.extend(fields.map(|of| (policy.name.clone(), of)));
    }
    let Draft { adds, ports, decided, .. } = draft;
    let left = if adds.is_empty() { workload } else { subject.with(&adds).workload()? };
    let unfixed = unfixed(&policies, &left, &reasons, now);
    let keeps = subject.owned();
    let decides = decided.values().min().map(|index| policies[*index].name.clone());
    let annotation = || subject.metadata().annotations.as_ref()?.get(PATCHED_BY).cloned();
    let policy = decides.or_else(annotation).unwrap_or_default();
    let mut fields = keeps.clone();
    fields.extend(adds.clone());
    let document = subject.document(&fields, Some(policy.as_str()).filter(|policy| !policy.is_empty()));
    Ok(Plan { document, adds, keeps, policy, unfixed, noted, ports })
}

/// The reasons for remaining violations, by index of the policy, container and rule.
type Reasons<'v> = BTreeMap<(usize, Option<&'v str>, RuleId), Vec<String>>;

fn violations(policy: &EnforcingPolicy, workload: &Workload<'_>, now: Timestamp) -> Vec<Violation> {
    evaluate(&policy.effective, workload, now, true).violations
}

/// Evaluates the patched workload, so that only violations that remain are listed, whichever fields were dropped.
fn unfixed(
    policies: &[&EnforcingPolicy],
    fixed: &Workload<'_>,
    reasons: &Reasons<'_>,
    now: Timestamp,
) -> Vec<Unfixed> {
    let mut left: BTreeMap<(Option<String>, RuleId), String> = BTreeMap::new();
    for (index, policy) in policies.iter().enumerate() {
        for violation in violations(policy, fixed, now) {
            let known = reasons.get(&(index, violation.container.as_deref(), violation.rule));
            let reason = known.filter(|reasons| !reasons.is_empty()).map(|reasons| reasons.join("; "));
            let reason = reason.unwrap_or_else(|| format!("manual fix needed: {}", violation.message));
            left.entry((violation.container, violation.rule)).or_insert(reason);
        }
    }
    let unfixed = left.into_iter();
    unfixed.map(|((container, rule), reason)| Unfixed { container, rule, reason }).collect()
}

/// A plan under construction.
struct Draft<'a> {
    subject: &'a Subject,
    constraints: &'a Constraints,
    barred: &'a BTreeSet<ContainerField>,
    adds: Fields,
    /// The ports of the added probes.
    ports: BTreeMap<ContainerField, ProbePort>,
    /// The index of the policy that decided each added field.
    decided: BTreeMap<ContainerField, usize>,
}

impl Draft<'_> {
    /// Adds the fields that fix a violation, and returns the reasons for fields that it does not add.
    fn add_fix(
        &mut self,
        index: usize,
        policy: &EnforcingPolicy,
        violation: &Violation,
    ) -> Result<Vec<String>, SubjectError> {
        let Some((fix, container)) = self.fix(violation) else { return Ok(Vec::new()) };
        // Fields that the plan already adds count as set.
        let so_far = self.subject.container_with(container, &self.adds)?;
        let (mut wanted, mut reasons) = self.ask(fix, policy, &so_far)?;
        reasons.extend(drop_fields(&mut wanted, &so_far, self.constraints, self.barred));
        let probes = wanted.keys().filter(|of| of.field.is_probe());
        if let Ok(port) = self.port(policy, container) {
            self.ports.extend(probes.map(|of| (of.clone(), port.clone())));
        }
        self.decided.extend(wanted.keys().map(|of| (of.clone(), index)));
        self.adds.extend(wanted);
        Ok(reasons)
    }

    /// Returns the fields that a policy alone would add.
    fn asked(
        &self,
        policy: &EnforcingPolicy,
        violation: &Violation,
    ) -> Result<Vec<ContainerField>, SubjectError> {
        let Some((fix, container)) = self.fix(violation) else { return Ok(Vec::new()) };
        Ok(self.ask(fix, policy, container)?.0.into_keys().collect())
    }

    fn fix(&self, violation: &Violation) -> Option<(&'static Fix, &PartialContainer)> {
        let fix = rules::find(violation.rule.as_str())?.fix.as_ref()?;
        Some((fix, self.subject.named(violation.container.as_deref()?)?))
    }

    fn port(&self, policy: &EnforcingPolicy, container: &PartialContainer) -> Result<ProbePort, NoPort> {
        let served = self.constraints.served.get(&container.name).map_or(&[][..], Vec::as_slice);
        choose(container, served, policy.defaults.probe.tcp_port)
    }

    fn ask(
        &self,
        fix: &Fix,
        policy: &EnforcingPolicy,
        container: &PartialContainer,
    ) -> Result<(Fields, Vec<String>), SubjectError> {
        let pod_has_resources = self.subject.has_pod_resources();
        let port = self.port(policy, container).map(|chosen| chosen.port).map_err(|error| error.to_string());
        let port = port.as_ref().map(|port| *port).map_err(String::as_str);
        let outcome =
            (fix.compute)(&FixInput { container, pod_has_resources, defaults: &policy.defaults, port });
        let sets = serde_json::to_value(outcome.sets).map_err(|source| self.subject.unreadable(source))?;
        let fields = Field::ALL.into_iter().filter_map(|field| {
            Some((ContainerField::new(&container.name, field), read(&sets, &field.path())?.clone()))
        });
        Ok((fields.collect(), outcome.reasons))
    }
}

impl Subject {
    /// Returns the template's container with this name.
    fn named(&self, name: &str) -> Option<&PartialContainer> {
        self.containers().iter().find(|container| container.name == name)
    }

    /// Returns true if the pod has requests or limits at pod level.
    fn has_pod_resources(&self) -> bool {
        let spec = self.template().and_then(|template| template.spec.as_ref());
        let resources = spec.and_then(|spec| spec.resources.as_ref());
        resources.is_some_and(|resources| {
            let amounts = [&resources.requests, &resources.limits];
            amounts.into_iter().flatten().any(|amounts| !amounts.is_empty())
        })
    }

    /// Returns a container with those of the fields that belong to it.
    fn container_with(
        &self,
        container: &PartialContainer,
        fields: &Fields,
    ) -> Result<PartialContainer, SubjectError> {
        let mut value = serde_json::to_value(container).map_err(|source| self.unreadable(source))?;
        set_all(&mut value, &container.name, fields);
        serde_json::from_value(value).map_err(|source| self.unreadable(source))
    }

    /// Returns the workload with these fields set in its containers.
    #[must_use]
    pub fn with(&self, fields: &Fields) -> Self {
        let mut with = self.clone();
        let list = with.object.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
        for container in list.into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            set_all(container, &name, fields);
        }
        with
    }

    fn unreadable(&self, source: serde_json::Error) -> SubjectError {
        SubjectError::Unreadable { kind: self.kind().name(), source }
    }
}

fn set_all(container: &mut Value, name: &str, fields: &Fields) {
    let Some(object) = container.as_object_mut() else { return };
    for (of, value) in fields.iter().filter(|(of, _)| of.container == name) {
        set(object, &of.field.path(), value.clone());
    }
}

#[cfg(test)]
mod tests;
