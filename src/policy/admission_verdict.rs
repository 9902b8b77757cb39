//! The verdict of a namespace: the rules for which objects are denied there, and those that only warn.
//!
//! The operator writes it on the Namespace, and the native admission policies read it there. Severities, modes and
//! parameters are decided here once, so CEL needs no copy of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use kube::ResourceExt as _;
use kube::api::ObjectMeta;

use super::{CompiledPolicy, EnabledRule, EnforcementMode, ExemptionLevel};
use crate::rules::{RuleId, Value};
use crate::workload::short_digest;

/// The label of a Namespace in which native admission evaluates objects.
pub const ADMISSION_LABEL: &str = "devops.stochastic.io/admission";
/// The value of the label where rules deny and none warns. The API server evaluates no policy for nothing.
pub const ADMISSION_DENY: &str = "deny";
/// The value of the label where rules warn and none denies.
pub const ADMISSION_WARN: &str = "warn";
/// The value of the label where rules deny and rules warn.
pub const ADMISSION_DENY_AND_WARN: &str = "deny-and-warn";
/// The value of the label where no rule can be evaluated natively.
pub const ADMISSION_NONE: &str = "none";
/// The annotation with the rules to deny.
pub const DENY_ANNOTATION: &str = "devops.stochastic.io/deny";
/// The annotation with the rules to warn about.
pub const WARN_ANNOTATION: &str = "devops.stochastic.io/warn";
/// The annotation with the hash of the policies that the verdict was compiled from.
pub const VERDICT_ANNOTATION: &str = "devops.stochastic.io/verdict";
/// The annotation that suspends denials until a time, in RFC 3339.
pub const BREAK_GLASS_ANNOTATION: &str = "devops.stochastic.io/break-glass-until";

/// The most bytes of an annotation. All annotations of an object together may have 256 KiB.
const MOST_BYTES: usize = 8 * 1024;

/// The most entries of a rule in an annotation: each evaluates the rule once more, within one budget of the API server.
const MOST_ENTRIES: usize = 4;

/// Separates the entries of an annotation.
const ENTRIES: char = ',';
/// Separates the fields of an entry: the rule, its policies, and its parameters.
const FIELDS: char = ';';
/// Separates the policies of an entry, and the items of a parameter.
const ITEMS: char = '|';

/// The verdict of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdmissionVerdict {
    /// The rules for which an object is denied.
    pub denied: Vec<VerdictRule>,
    /// The rules for which an object is allowed with a warning.
    pub warned: Vec<VerdictRule>,
    /// The rules of policies that native admission leaves out.
    pub left_out: Vec<LeftOut>,
    /// The hash of the policies' names, uids and generations.
    pub hash: String,
}

/// A rule of a verdict with its parameters, for every policy that turns it on in this way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictRule {
    /// The rule.
    pub rule: RuleId,
    /// The parameters, as `name=value`.
    pub parameters: Vec<String>,
    /// The part of an update's findings that the entry is about.
    pub part: VerdictPart,
    /// The names of the policies.
    pub policies: BTreeSet<String>,
    /// The day of the verdict, if a workload may exempt itself from the rule. CEL has no clock to compare its last day with.
    pub exempt: Option<Date>,
}

/// The findings of an update that an entry is about.
///
/// A manifest lacks the defaults that its workload got when it was created, so `kubectl replace` drops them. Where a policy
/// sets them, such an update only warns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VerdictPart {
    /// All findings.
    #[default]
    All,
    /// All but those of dropped defaults.
    ButDropped,
    /// Only those of dropped defaults.
    OnlyDropped,
}

impl VerdictPart {
    /// Returns the part as it is written in an annotation; `None` for all findings.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::ButDropped => Some("dropped=allowed"),
            Self::OnlyDropped => Some("dropped=only"),
        }
    }
}

/// A rule of a policy that native admission does not evaluate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The policy.
    pub policy: String,
    /// The rule.
    pub rule: RuleId,
    /// The reason.
    pub reason: LeftOutReason,
}

/// The reason for which native admission leaves a rule out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeftOutReason {
    /// The rule has no expression in CEL.
    NoExpression,
    /// The rule is the policy's own.
    Custom,
    /// A parameter has a character that separates values in the annotation.
    Separator,
    /// The annotation would exceed 8 KiB.
    TooLong,
    /// Four other entries of the rule are in the annotation.
    TooMany,
    /// The Namespace is exempt from the rule.
    Exempt,
}

impl LeftOutReason {
    /// Returns the reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoExpression => "CEL can't express the rule",
            Self::Custom => {
                "the rule is the policy's own, so it takes a ValidatingAdmissionPolicy of its own"
            }
            Self::Separator => "a parameter has one of the characters , ; | = or is not ASCII",
            Self::TooLong => "the annotation would exceed 8 KiB",
            Self::TooMany => "other policies set the rule in four other ways already",
            Self::Exempt => "the Namespace is exempt",
        }
    }
}

/// The two ways in which a rule counts.
#[derive(Default)]
struct Lists {
    denied: Vec<VerdictRule>,
    warned: Vec<VerdictRule>,
}

impl AdmissionVerdict {
    /// Compiles the verdict of a namespace from its policies, without exemptions. `None` if no policy is in effect.
    ///
    /// Policies that are being deleted, and those that can't be followed, have no part in it.
    pub fn of(policies: &[CompiledPolicy]) -> Option<Self> {
        Self::compile(policies, |_| false, None)
    }

    /// Compiles the verdict as [`Self::of`] does, without the rules for which `is_exempt` is true. On this day, workloads
    /// may exempt themselves from the rules that allow it.
    pub fn exempting(
        policies: &[CompiledPolicy],
        is_exempt: impl Fn(&EnabledRule) -> bool,
        today: Date,
    ) -> Option<Self> {
        Self::compile(policies, is_exempt, Some(today))
    }

    fn compile(
        policies: &[CompiledPolicy],
        is_exempt: impl Fn(&EnabledRule) -> bool,
        today: Option<Date>,
    ) -> Option<Self> {
        let in_effect = policies.iter().filter(|known| known.policy.metadata.deletion_timestamp.is_none());
        let mut in_effect: Vec<_> =
            in_effect.filter_map(|known| Some((known, known.effective.as_ref().ok()?))).collect();
        in_effect.sort_by_key(|(known, _)| known.policy.name_any());
        if in_effect.is_empty() {
            return None;
        }
        let mut verdict = Self { hash: hash(in_effect.iter().map(|(known, _)| *known)), ..Self::default() };
        let mut lists = Lists::default();
        for (known, effective) in in_effect {
            let policy = known.policy.name_any();
            for enabled in effective.rules() {
                let added = if is_exempt(enabled) {
                    Err(LeftOutReason::Exempt)
                } else {
                    let is_default = known.policy.mutates() && enabled.rule.fix.is_some();
                    lists.add(&policy, (denies(known, enabled), is_default), enabled, today)
                };
                if let Err(reason) = added {
                    verdict.left_out.push(LeftOut { policy: policy.clone(), rule: enabled.rule.id, reason });
                }
            }
        }
        // A finding that is denied is not repeated as a warning.
        let Lists { denied, mut warned } = lists;
        let denied = merged(denied);
        warned.retain_mut(|warned| {
            // An object that is exempt from a denial is not exempt from every warning.
            let covers = |denied: &&VerdictRule| {
                denied.is_same_check(warned) && (denied.exempt.is_none() || warned.exempt.is_some())
            };
            let parts: Vec<_> = denied.iter().filter(covers).map(|denied| denied.part).collect();
            if !parts.is_empty() {
                warned.part = VerdictPart::OnlyDropped;
            }
            !parts.contains(&VerdictPart::All)
        });
        let warned = merged(warned);
        verdict.denied = shortened(denied, &mut verdict.left_out);
        verdict.warned = shortened(warned, &mut verdict.left_out);
        Some(verdict)
    }

    /// Returns the verdict while denials are suspended: everything only warns.
    #[must_use]
    pub fn suspended(self) -> Self {
        let mut left_out = self.left_out;
        let warned = shortened([self.denied, self.warned].concat(), &mut left_out);
        Self { denied: Vec::new(), warned, left_out, hash: self.hash }
    }

    /// Returns the annotations that carry the verdict, by key. An empty list has none.
    pub fn annotations(&self) -> BTreeMap<&'static str, String> {
        let lists = [(DENY_ANNOTATION, text(&self.denied)), (WARN_ANNOTATION, text(&self.warned))];
        lists
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .chain([(VERDICT_ANNOTATION, self.hash.clone())])
            .collect()
    }

    /// Returns the value of the label that carries the verdict.
    pub fn label(&self) -> &'static str {
        label(!self.denied.is_empty(), !self.warned.is_empty())
    }

    /// Returns the digest of a Namespace that carries this verdict.
    pub fn digest(&self) -> String {
        let annotations = self.annotations();
        digest(|key| annotations.get(key).map(String::as_str))
    }

    /// Returns the digest of the verdict that a Namespace carries; `None` without a verdict.
    pub fn digest_of(metadata: &ObjectMeta) -> Option<String> {
        let label = metadata.labels.as_ref()?.get(ADMISSION_LABEL)?;
        let annotations = metadata.annotations.as_ref()?;
        let has = |key| annotations.contains_key(key);
        let is_carried =
            label == self::label(has(DENY_ANNOTATION), has(WARN_ANNOTATION)) && has(VERDICT_ANNOTATION);
        is_carried.then(|| digest(|key| annotations.get(key).map(String::as_str)))
    }

    /// Returns true if native admission evaluates a rule for a policy.
    pub fn holds(&self, policy: &str, rule: RuleId) -> bool {
        !self.left_out.iter().any(|left_out| left_out.policy == policy && left_out.rule == rule)
    }
}

impl VerdictRule {
    /// Returns true if two entries check the same, of all findings or of a part.
    fn is_same_check(&self, other: &Self) -> bool {
        self.rule == other.rule && self.parameters == other.parameters
    }

    /// Returns the entry as it is written in an annotation.
    fn text(&self) -> String {
        let policies: Vec<_> = self.policies.iter().map(String::as_str).collect();
        let policies = policies.join(&ITEMS.to_string());
        let exempt = self.exempt.map(|today| format!("exempt={today}"));
        let fields = [self.rule.as_str().to_owned(), policies].into_iter().chain(self.parameters.clone());
        let fields = fields.chain(self.part.as_str().map(str::to_owned)).chain(exempt);
        fields.collect::<Vec<_>>().join(&FIELDS.to_string())
    }
}

impl Lists {
    fn add(
        &mut self,
        policy: &str,
        (denies, is_default): (bool, bool),
        enabled: &EnabledRule,
        today: Option<Date>,
    ) -> Result<(), LeftOutReason> {
        if enabled.custom.is_some() {
            return Err(LeftOutReason::Custom);
        }
        if enabled.rule.expression.is_none() {
            return Err(LeftOutReason::NoExpression);
        }
        let parameters =
            enabled.parameters.iter().map(|(name, value)| Some(format!("{name}={}", encoded(value)?)));
        let parameters = parameters.collect::<Option<Vec<_>>>().ok_or(LeftOutReason::Separator)?;
        let entry = |part| VerdictRule {
            rule: enabled.rule.id,
            parameters: parameters.clone(),
            part,
            policies: BTreeSet::from([policy.to_owned()]),
            exempt: today.filter(|_| enabled.exemptions >= ExemptionLevel::Workload),
        };
        match (denies, is_default) {
            (false, _) => self.warned.push(entry(VerdictPart::All)),
            (true, false) => self.denied.push(entry(VerdictPart::All)),
            (true, true) => {
                self.denied.push(entry(VerdictPart::ButDropped));
                self.warned.push(entry(VerdictPart::OnlyDropped));
            }
        }
        Ok(())
    }
}

/// Puts the policies of equal entries together.
fn merged(entries: Vec<VerdictRule>) -> Vec<VerdictRule> {
    let mut merged: Vec<VerdictRule> = Vec::new();
    for entry in entries {
        let is_same = |known: &&mut VerdictRule| {
            known.is_same_check(&entry) && (known.part, known.exempt) == (entry.part, entry.exempt)
        };
        match merged.iter_mut().find(is_same) {
            Some(known) => known.policies.extend(entry.policies),
            None => merged.push(entry),
        }
    }
    merged
}

/// Returns a parameter as it is written in an annotation; `None` if it can't be.
fn encoded(value: &Value) -> Option<String> {
    let text = match value {
        Value::Integer(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Text(text) => text.clone(),
        Value::Texts(texts) if texts.iter().any(|text| text.is_empty() || text.contains(ITEMS)) => {
            return None;
        }
        Value::Texts(texts) => {
            // CEL takes a key that is asked for twice as an error.
            let mut known = BTreeSet::new();
            let texts: Vec<_> = texts.iter().map(String::as_str).filter(|text| known.insert(*text)).collect();
            texts.join(&ITEMS.to_string())
        }
    };
    let is_plain = |c: char| c.is_ascii_graphic() && ![ENTRIES, FIELDS, '='].contains(&c);
    text.chars().all(is_plain).then_some(text)
}

/// Returns true if a policy denies an object for a rule.
fn denies(known: &CompiledPolicy, enabled: &EnabledRule) -> bool {
    let spec = &known.policy.spec;
    spec.enforcement_mode == EnforcementMode::Enforce
        && enabled.severity >= spec.admission.clone().unwrap_or_default().deny_at
}

/// Returns the entries that fit in an annotation, and notes the others.
fn shortened(entries: Vec<VerdictRule>, left_out: &mut Vec<LeftOut>) -> Vec<VerdictRule> {
    let mut bytes = 0;
    let mut kept = Vec::new();
    for entry in entries {
        let size = entry.text().len() + ENTRIES.len_utf8();
        let entries = kept.iter().filter(|kept: &&VerdictRule| kept.rule == entry.rule).count();
        let reason = if entries >= MOST_ENTRIES {
            LeftOutReason::TooMany
        } else if bytes + size > MOST_BYTES {
            LeftOutReason::TooLong
        } else {
            bytes += size;
            kept.push(entry);
            continue;
        };
        let left_out_of = |policy: &String| LeftOut { policy: policy.clone(), rule: entry.rule, reason };
        left_out.extend(entry.policies.iter().map(left_out_of));
    }
    kept
}

/// Returns the value of the label for a verdict by which rules deny, warn, or both.
fn label(denies: bool, warns: bool) -> &'static str {
    match (denies, warns) {
        (true, true) => ADMISSION_DENY_AND_WARN,
        (true, false) => ADMISSION_DENY,
        (false, true) => ADMISSION_WARN,
        (false, false) => ADMISSION_NONE,
    }
}

fn text(entries: &[VerdictRule]) -> String {
    entries.iter().map(VerdictRule::text).collect::<Vec<_>>().join(&ENTRIES.to_string())
}

/// Returns the digest of the annotations that carry a verdict. No content has a line break.
fn digest<'a>(annotation: impl Fn(&str) -> Option<&'a str>) -> String {
    let contents = [DENY_ANNOTATION, WARN_ANNOTATION, VERDICT_ANNOTATION].map(annotation);
    short_digest(&contents.map(Option::unwrap_or_default).join("\n"))
}

/// Returns the hash of policies in the order of their names.
fn hash<'p>(policies: impl Iterator<Item = &'p CompiledPolicy>) -> String {
    let lines = policies.map(|known| {
        let metadata = &known.policy.metadata;
        let uid = metadata.uid.as_deref().unwrap_or_default();
        format!("{} {uid} {}\n", known.policy.name_any(), metadata.generation.unwrap_or_default())
    });
    short_digest(&lines.collect::<String>())
}

#[cfg(test)]
mod tests;
