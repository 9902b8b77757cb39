//! The exemptions that annotations of workloads and Namespaces declare.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Exemption, ExemptionPlace, Tally};
use crate::policy::{AdmissionVerdict, CompiledPolicy, EffectivePolicy, EnabledRule, ExemptionLevel};
use crate::rules::{self, RuleId};
use crate::workload::{EXEMPT, EXEMPT_REASON, EXEMPT_UNTIL, Metadata, Owner, Workload, WorkloadKey};

/// The exemptions that annotations declare, by the object that has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnnotatedExemptions {
    namespaces: HashMap<String, Exemption>,
    workloads: HashMap<WorkloadKey, Exemption>,
    /// The annotations that exempt nothing, by object, each with the reason.
    problems: BTreeMap<String, Vec<String>>,
}

/// The most characters of a reason that are kept.
const LONGEST_REASON: usize = 256;

/// The most characters of the rules in an annotation. Native admission could not compare more within its budget.
const MOST_CHARACTERS: usize = 8_000;

/// The kinds of objects that have no say once another object owns them.
const MANAGED: [&str; 4] = ["Pod", "ReplicaSet", "ReplicationController", "Job"];

/// The exemption that the annotations of one object declare, and their problems.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The exemption; `None` if the annotations exempt nothing.
    pub exemption: Option<Exemption>,
    /// The parts that exempt nothing, each with the object and the reason.
    pub problems: Vec<String>,
}

impl Declared {
    /// Reads the annotations of an object, which is named as `Namespace/name` or `namespace/Kind/name`. `None` if none of
    /// them asks for an exemption.
    pub fn read<'a>(object: &str, annotation: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let ids = annotation(EXEMPT)?;
        let mut problems = Vec::new();
        let mut problem =
            |key: &str, text: &str| problems.push(format!("{object}: annotation {key}: {text}"));
        let is_long = ids.chars().count() > MOST_CHARACTERS;
        if is_long {
            problem(EXEMPT, &format!("it has more than {MOST_CHARACTERS} characters, so nothing is exempt"));
        }
        let ids = if is_long { "" } else { ids };
        let mut rules = BTreeSet::new();
        for id in ids.split(',').map(str::trim) {
            match rules::find(id) {
                Some(rule) => {
                    rules.insert(rule.id);
                }
                None if is_long => {}
                None if id.is_empty() => problem(EXEMPT, "a rule is missing between two commas or at an end"),
                None => problem(EXEMPT, &format!("there is no built-in rule {id}, so this exempts nothing")),
            }
        }
        let reason = annotation(EXEMPT_REASON).unwrap_or_default().trim();
        if reason.is_empty() {
            problem(EXEMPT_REASON, "a reason is missing, so nothing is exempt");
        }
        let until = annotation(EXEMPT_UNTIL).map(str::trim);
        let expires = until.map(day);
        if let (Some(None), Some(text)) = (expires, until) {
            let text =
                format!("a day such as 2027-01-31 is expected instead of {text}, so nothing is exempt");
            problem(EXEMPT_UNTIL, &text);
        }
        let is_valid = !rules.is_empty() && !reason.is_empty() && expires != Some(None);
        let exemption = is_valid.then(|| Exemption {
            place: ExemptionPlace::Object(object.to_owned()),
            rules: Some(rules),
            reason: reason.chars().take(LONGEST_REASON).collect(),
            expires: expires.flatten(),
        });
        Some(Self { exemption, problems })
    }

    /// Reads the annotations of a Namespace.
    pub fn of_namespace<'a>(name: &str, annotation: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        Self::read(&namespace_object(name), annotation)
    }
}

fn namespace_object(name: &str) -> String {
    format!("Namespace/{name}")
}

/// Parses a day in the form 2027-01-31.
fn day(text: &str) -> Option<Date> {
    text.parse().ok().filter(|day: &Date| day.to_string() == text)
}

impl AnnotatedExemptions {
    /// Notes the annotations of a Namespace, in place of former ones.
    pub fn add_namespace<'a>(&mut self, name: &str, annotation: impl Fn(&str) -> Option<&'a str>) {
        self.remove_namespace(name);
        let Some(declared) = Declared::of_namespace(name, annotation) else { return };
        self.note_problems(namespace_object(name), declared.problems);
        self.namespaces.extend(declared.exemption.map(|exemption| (name.to_owned(), exemption)));
    }

    /// Notes the annotations of an object, which can be a pod.
    ///
    /// A pod, `ReplicaSet`, `ReplicationController` or Job with an owner is not asked: its owner's annotations count.
    pub fn add_object(&mut self, namespace: &str, object: Owner<'_>, metadata: &Metadata<'_>) {
        let is_owned = MANAGED.contains(&object.kind) && metadata.has_owner();
        if is_owned || metadata.annotation(EXEMPT).is_none() {
            return;
        }
        let named = object.full_name(namespace);
        let Some(declared) = Declared::read(&named, |key| metadata.annotation(key)) else { return };
        self.note_problems(named, declared.problems);
        let exemption = declared.exemption.map(|exemption| (WorkloadKey::new(namespace, object), exemption));
        self.workloads.extend(exemption);
    }

    /// Forgets the annotations of a Namespace.
    pub fn remove_namespace(&mut self, name: &str) {
        if self.namespaces.remove(name).is_some() || !self.problems.is_empty() {
            self.problems.remove(&namespace_object(name));
        }
    }

    /// Forgets the annotations of an object.
    pub fn remove_object(&mut self, namespace: &str, object: Owner<'_>) {
        if !self.workloads.is_empty() || !self.problems.is_empty() {
            self.workloads.remove(&WorkloadKey::new(namespace, object));
            self.problems.remove(&object.full_name(namespace));
        }
    }

    /// Forgets the annotations of the Namespaces for which `keep` is false.
    pub fn retain_namespaces(&mut self, keep: impl Fn(&str) -> bool) {
        let gone: Vec<String> = self.namespaces.keys().filter(|name| !keep(name)).cloned().collect();
        for name in &gone {
            self.remove_namespace(name);
        }
    }

    /// Forgets the annotations of the workloads for which `keep` is false.
    pub fn retain_objects(&mut self, keep: impl Fn(&WorkloadKey) -> bool) {
        let gone: Vec<WorkloadKey> = self.workloads.keys().filter(|key| !keep(key)).cloned().collect();
        for key in &gone {
            self.remove_object(key.namespace(), key.local());
        }
    }

    fn note_problems(&mut self, object: String, problems: Vec<String>) {
        if !problems.is_empty() {
            self.problems.insert(object, problems);
        }
    }

    /// Notes the annotations of a pod or of an object with a template.
    pub fn add_workload(&mut self, namespace: &str, workload: &Workload<'_>) {
        let object = Owner { kind: workload.kind.name(), name: workload.name() };
        self.add_object(namespace, object, &workload.metadata);
    }

    /// Adds those of another part of the input.
    pub fn merge(&mut self, other: Self) {
        self.namespaces.extend(other.namespaces);
        self.workloads.extend(other.workloads);
        self.problems.extend(other.problems);
    }

    /// Returns true if no annotation exempts anything.
    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty() && self.workloads.is_empty()
    }

    /// Returns the annotations that exempt nothing, each with its object and the reason.
    pub fn problems(&self) -> impl Iterator<Item = &String> {
        self.problems.values().flatten()
    }

    /// Returns what the annotations of one Namespace declare.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Self {
        let object = namespace_object(namespace);
        let problems = self.problems.get(&object).map(|problems| (object.clone(), problems.clone()));
        let exemption = self.namespaces.get(namespace).map(|one| (namespace.to_owned(), one.clone()));
        Self {
            namespaces: exemption.into_iter().collect(),
            workloads: HashMap::new(),
            problems: problems.into_iter().collect(),
        }
    }

    /// Returns the exemption of a workload or of its Namespace that a rule's findings fall under, over or not, if the
    /// policy lets that object exempt from the rule. One that is in force comes before one that is over.
    pub fn of(&self, key: &WorkloadKey, enabled: &EnabledRule, now: Timestamp) -> Option<&Exemption> {
        let own = self.workloads.get(key).filter(|_| enabled.exemptions >= ExemptionLevel::Workload);
        let has = |exemption: &&Exemption| exemption.has(enabled.rule.id);
        let own = own.filter(has);
        let above = self.of_namespace(key.namespace(), enabled);
        let in_force = [own, above].into_iter().flatten().find(|exemption| !exemption.is_over(now));
        in_force.or(own).or(above)
    }

    /// Returns the exemption of a Namespace that a rule's findings fall under, over or not.
    pub fn of_namespace(&self, namespace: &str, enabled: &EnabledRule) -> Option<&Exemption> {
        let above = self.namespaces.get(namespace)?;
        (enabled.exemptions >= ExemptionLevel::Namespace && above.has(enabled.rule.id)).then_some(above)
    }

    /// Returns the exemptions that the annotations of one Namespace declare.
    pub fn of_one_namespace(name: &str, annotations: &BTreeMap<String, String>) -> Self {
        let mut exemptions = Self::default();
        exemptions.add_namespace(name, |key| annotations.get(key).map(String::as_str));
        exemptions
    }

    /// Compiles the verdict of a namespace from its policies, without the rules from which the Namespace is exempt at
    /// the time `now`. `None` if no policy is in effect.
    pub fn verdict(
        &self,
        namespace: &str,
        policies: &[CompiledPolicy],
        now: Timestamp,
    ) -> Option<AdmissionVerdict> {
        let is_exempt = |enabled: &EnabledRule| {
            self.of_namespace(namespace, enabled).is_some_and(|exemption| !exemption.is_over(now))
        };
        AdmissionVerdict::exempting(policies, is_exempt, TimeZone::UTC.to_datetime(now).date())
    }

    /// Returns the exemptions that a policy rejects, each with its object and the reason.
    pub fn refused(&self, policy: &EffectivePolicy) -> Vec<String> {
        let refused = |exemption: &Exemption, level: ExemptionLevel| {
            let enabled = policy.rules().iter().filter(|enabled| exemption.has(enabled.rule.id));
            let refused: Vec<_> = enabled.filter(|enabled| enabled.exemptions < level).collect();
            let all = refused.iter().map(|enabled| enabled.rule.id.as_str()).collect::<Vec<_>>().join(", ");
            let only = match refused.iter().map(|enabled| enabled.exemptions).max()? {
                ExemptionLevel::Namespace => "only a Namespace may exempt",
                _ => "nothing may exempt",
            };
            let ExemptionPlace::Object(object) = &exemption.place else { return None };
            Some(format!(
                "{object}: {only} from {all} by the policy, so the annotation exempts nothing from it"
            ))
        };
        let namespaces = self.namespaces.values().filter_map(|one| refused(one, ExemptionLevel::Namespace));
        let workloads = self.workloads.values().filter_map(|one| refused(one, ExemptionLevel::Workload));
        let mut all: Vec<_> = namespaces.chain(workloads).collect();
        all.sort();
        all
    }

    /// Returns the counts of a workload's findings that are exempt at the time `now`.
    pub fn exempt_of(
        &self,
        key: &WorkloadKey,
        found: &Tally,
        policy: &EffectivePolicy,
        now: Timestamp,
    ) -> Tally {
        let mut exempt = Tally::default();
        for enabled in policy.rules().iter().filter(|enabled| found.count(enabled.index) > 0) {
            if self.of(key, enabled, now).is_some_and(|exemption| !exemption.is_over(now)) {
                exempt.set(enabled.index, found.count(enabled.index));
            }
        }
        exempt
    }

    /// Returns the rules of a policy that are left for one workload, by its own annotations and those of its Namespace;
    /// `None` if it is exempt from none.
    pub fn left_for(
        &self,
        namespace: &str,
        workload: &Workload<'_>,
        policy: &EffectivePolicy,
        now: Timestamp,
    ) -> Option<EffectivePolicy> {
        let mut both = self.within(namespace);
        both.add_workload(namespace, workload);
        if both.is_empty() {
            return None;
        }
        let object = Owner { kind: workload.kind.name(), name: workload.name() };
        let key = WorkloadKey::new(namespace, object);
        let rules = policy.rules().iter();
        let exempt = rules.filter(|enabled| both.of(&key, enabled, now).is_some_and(|one| !one.is_over(now)));
        let exempt: BTreeSet<RuleId> = exempt.map(|enabled| enabled.rule.id).collect();
        (!exempt.is_empty()).then(|| policy.filtered(|rule| !exempt.contains(&rule)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(annotations: &[(&str, &str)]) -> Option<(Vec<&'static str>, Option<Date>, Vec<String>)> {
        let find = |key: &str| annotations.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
        let Declared { exemption, problems } = Declared::of_namespace("shop", find)?;
        let expires = exemption.as_ref().and_then(|exemption| exemption.expires);
        let rules = exemption.and_then(|exemption| exemption.rules).unwrap_or_default();
        Some((rules.into_iter().map(RuleId::as_str).collect(), expires, problems))
    }

    #[test]
    fn an_annotation_names_rules_a_reason_and_maybe_a_last_day() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[(EXEMPT_REASON, "old"), (EXEMPT_UNTIL, "2027-01-31")]), None);
        let both = [(EXEMPT, "pending , latest-tag"), (EXEMPT_REASON, " old ")];
        assert_eq!(read(&both), Some((vec!["latest-tag", "pending"], None, Vec::new())));
        let until = [(EXEMPT, "pending"), (EXEMPT_REASON, "old"), (EXEMPT_UNTIL, "2027-01-31")];
        assert_eq!(read(&until).unwrap().1, Some("2027-01-31".parse().unwrap()));
    }

    #[test]
    fn an_unknown_rule_a_missing_reason_and_a_wrong_day_exempt_nothing() {
        let problem = |annotations: &[(&str, &str)]| {
            let (rules, _, problems) = read(annotations).unwrap();
            assert_eq!(problems.len(), 1, "{problems:?}");
            (rules, problems[0].clone())
        };
        let reason = (EXEMPT_REASON, "old");
        let (rules, text) = problem(&[(EXEMPT, "latest-tga,pending"), reason]);
        assert_eq!(rules, ["pending"], "the other rule is known");
        assert_eq!(
            text,
            "Namespace/shop: annotation devops.stochastic.io/exempt: there is no built-in rule latest-tga, so this exempts nothing"
        );
        for annotations in [
            &[(EXEMPT, "pending")][..],
            &[(EXEMPT, "pending"), (EXEMPT_REASON, " ")],
            &[(EXEMPT, ""), reason],
            &[(EXEMPT, "pending"), reason, (EXEMPT_UNTIL, "2027-02-31")],
            &[(EXEMPT, "pending"), reason, (EXEMPT_UNTIL, "20270131")],
            &[(EXEMPT, "pending"), reason, (EXEMPT_UNTIL, "")],
        ] {
            assert!(problem(annotations).0.is_empty(), "{annotations:?}");
        }
    }

    #[test]
    fn a_pod_with_an_owner_of_any_kind_has_no_say() {
        let read = |owners: &str| {
            let json = format!(
                r#"{{"annotations": {{"{EXEMPT}": "pending", "{EXEMPT_REASON}": "old"}}, "ownerReferences": [{owners}]}}"#
            );
            let metadata = serde_json::from_str::<Metadata<'_>>(&json).unwrap();
            let mut found = AnnotatedExemptions::default();
            found.add_object("shop", Owner { kind: "Pod", name: "a" }, &metadata);
            !found.is_empty()
        };
        assert!(read(""));
        assert!(!read(r#"{"kind": "ConfigMap", "name": "a"}"#));
        assert!(!read(r#"{"kind": "ReplicaSet", "name": "a", "controller": true}"#));
    }

    #[test]
    fn an_exemption_ends_with_its_last_day() {
        let find = |key: &str| match key {
            EXEMPT => Some("pending"),
            EXEMPT_REASON => Some("old"),
            _ => Some("2027-01-31"),
        };
        let exemption = Declared::of_namespace("shop", find).unwrap().exemption.unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let midnight = at("2027-02-01T00:00:00Z");
        let last = at("2027-01-31T23:59:59Z");
        assert!(!exemption.is_over(last) && exemption.is_over(midnight));
        assert_eq!((exemption.end(last), exemption.end(midnight)), (Some(midnight), None));
    }
}
