//! The parts of a rule. Rules know nothing of policies.

use std::fmt;

use super::{Check, Fix, Parameter, RuleId, Severity};
use crate::workload::{Kind, Kinds};

/// A check with its documentation.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing about a rule, by its name")]
pub struct Rule {
    /// The name used everywhere: reports, policies, metrics.
    pub id: RuleId,
    /// One line for tables, without a full stop.
    pub summary: &'static str,
    /// The label of the rule's count in the summary; `None` for the id.
    pub label: Option<&'static str>,
    /// The documentation in Markdown, with the sections that a test demands.
    pub docs: &'static str,
    /// The kind of harm that a violation does. The rule's folder has its name.
    pub category: Category,
    /// The severity of a violation, unless a policy overrides it.
    pub severity: Severity,
    /// Penalty points of each count; `None` for those of the severity.
    pub weight: Option<u64>,
    /// True for a rule of the score without a policy.
    pub in_default_score: bool,
    /// True for a rule of `--rules recommended`; `None` if its severity decides.
    pub recommended: Option<bool>,
    /// The version that introduced the rule.
    pub since: &'static str,
    /// The checks of other tools that the rule stands for, as `tool:check`.
    pub peers: &'static [&'static str],
    /// The parameters that a policy can set.
    pub parameters: &'static [Parameter],
    /// True if the check reads fields that are skipped while parsing unless such a rule is on.
    pub details: bool,
    /// True if the check reads annotations that a parameter names. Others are declared in `workload/metadata.rs`.
    pub all_annotations: bool,
    /// The check.
    pub check: Check,
    /// A second check, for a rule that looks at objects of other kinds too.
    pub also: Option<Check>,
    /// True if a rule about workloads looks at pods without a controller alone.
    pub only_pods: bool,
    /// The kinds whose objects supply to new pods what templates leave out. A live pod has it already.
    pub supplied_by: &'static [Kind],
    /// The check in CEL for native admission, if that can say the same: a list of `[container, path, message, values]`.
    ///
    /// `values` are those that are wrong, one a line, by which an update is compared with the stored object; without them the
    /// finding itself counts. There is one finding for each container, and one for each value of the object as a whole.
    ///
    /// `s` is the pod or template: `spec`, `metadata` and its place `metadataAt`, `labels`, `init` and `main` (containers
    /// with their path), `ends` (a Job runs it), `windows`, `knative` and `injected` (Istio adds a proxy). It also has the
    /// workload itself: `kind`, `object` and `managed` (it has a controller). `e` has the parameters, as `name=value`, and
    /// the items of a list between bars. The container is empty in a finding about the object. A path that begins with a
    /// dot is one in the pod spec.
    pub expression: Option<&'static str>,
    /// True if the expression compares each environment variable with the others of its container, so that native
    /// admission bounds their number.
    pub compares_variables: bool,
    /// The fix of a violation, if defaults can fix it.
    pub fix: Option<Fix>,
    /// The change of a manifest that fixes a violation, in one line without a full stop, if the same one always does.
    pub manual_fix: Option<&'static str>,
}

impl Rule {
    /// The usual values of a rule's optional fields.
    pub(super) const BASE: Self = Self {
        id: RuleId::new(""),
        summary: "",
        label: None,
        docs: "",
        category: Category::Reliability,
        severity: Severity::Low,
        weight: None,
        in_default_score: false,
        recommended: None,
        since: "0.1.0",
        peers: &[],
        parameters: &[],
        details: true,
        all_annotations: false,
        check: Check::Pod(|_, _| {}),
        also: None,
        only_pods: false,
        supplied_by: &[],
        expression: None,
        compares_variables: false,
        fix: None,
        manual_fix: None,
    };

    /// The checks.
    pub fn checks(&self) -> impl Iterator<Item = Check> {
        [Some(self.check), self.also].into_iter().flatten()
    }

    /// The kinds that the rule reads beside the pod or workload that it looks at.
    pub fn reads(&self) -> Kinds {
        self.checks().fold(Kinds::default(), |kinds, check| kinds.union(check.reads()))
    }

    /// The kinds that the rule looks at or reads, beside pods.
    pub fn needs(&self) -> Kinds {
        if self.only_pods {
            return self.reads();
        }
        self.checks().fold(Kinds::default(), |kinds, check| kinds.union(check.needs()))
    }

    /// The kinds that the rule reads where templates are evaluated: also those that supply what templates leave out.
    pub fn reads_for_templates(&self) -> Kinds {
        self.reads().union(Kinds::of(self.supplied_by))
    }

    /// The kinds that the rule reads to see how objects fit together.
    pub fn relates(&self) -> Kinds {
        let relations = self.checks().filter(|check| matches!(check, Check::Relation { .. }));
        relations.fold(Kinds::default(), |kinds, check| kinds.union(check.reads()))
    }

    /// Returns true if the rule looks at pods or workloads one by one, which every mode does.
    pub fn is_about_pods(&self) -> bool {
        self.checks().any(|check| check.reads().is_empty())
    }

    /// Returns true if the rule looks at objects in namespaces, and not at those of the cluster alone.
    pub fn is_about_namespaces(&self) -> bool {
        self.is_about_pods() || self.reads().iter().any(Kind::is_namespaced)
    }

    /// Returns true if the rule looks at objects without a namespace. One that reads templates looks at workloads.
    pub fn is_about_cluster(&self) -> bool {
        let reads = self.reads();
        let is_of_cluster = |kind: Kind| !kind.is_namespaced() && kind != Kind::Namespace;
        !reads.contains(Kind::Template) && reads.iter().any(is_of_cluster)
    }

    /// The penalty points of each count.
    pub fn points(&self) -> u64 {
        self.weight.unwrap_or(self.severity.points())
    }

    /// Returns true if `--rules recommended` has the rule: unless it says otherwise, from medium severity up.
    pub fn is_recommended(&self) -> bool {
        self.recommended.unwrap_or(self.severity > Severity::Low)
    }

    /// The smallest set of `--rules` that has the rule.
    pub fn set(&self) -> &'static str {
        if self.in_default_score {
            "default"
        } else if self.is_recommended() {
            "recommended"
        } else {
            "all"
        }
    }

    /// The way in which violations are fixed. `rules` and `explain` show it in the same words.
    pub fn remedy(&self) -> Remedy {
        match (&self.fix, self.manual_fix) {
            (Some(fix), _) => Remedy::Enforcement(fix.summary),
            (None, Some(change)) => Remedy::Manifest(change),
            (None, None) => Remedy::None,
        }
    }

    /// The label of the rule's count in the summary.
    pub fn label(&self) -> &'static str {
        self.label.unwrap_or(self.id.as_str())
    }
}

/// The way in which violations of a rule are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Enforcement sets fields of live workloads; the text says which.
    Enforcement(&'static str),
    /// One change of the manifest always fixes a violation; the text says which.
    Manifest(&'static str),
    /// No single change fixes every violation. The message of a violation says what to do.
    None,
}

impl Remedy {
    /// The place of the fix, in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforcement(_) => "enforcement",
            Self::Manifest(_) => "manifest",
            Self::None => "none",
        }
    }

    /// The change; `None` if no single one fixes every violation.
    pub fn change(self) -> Option<&'static str> {
        match self {
            Self::Enforcement(change) | Self::Manifest(change) => Some(change),
            Self::None => None,
        }
    }
}

/// The kind of harm that a violation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// The image is not the one that was tested.
    Images,
    /// The workload can do more than it should.
    Security,
    /// Traffic doesn't arrive, or arrives where it should not.
    Networking,
    /// The workload fails, or its failure goes unnoticed.
    Reliability,
    /// The workload takes resources from others, or others take them from it.
    Efficiency,
    /// An account may do more than it should.
    Rbac,
    /// The API server refuses the object, or will.
    Api,
    /// A user's own rule asks for something else. No rule of the registry has this category.
    Custom,
}

impl Category {
    /// Every category of the registry, in the order of the catalogue.
    pub const ALL: [Self; 7] = [
        Self::Images,
        Self::Security,
        Self::Networking,
        Self::Reliability,
        Self::Efficiency,
        Self::Rbac,
        Self::Api,
    ];

    /// The category's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Security => "security",
            Self::Networking => "networking",
            Self::Reliability => "reliability",
            Self::Efficiency => "efficiency",
            Self::Rbac => "rbac",
            Self::Api => "api",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
