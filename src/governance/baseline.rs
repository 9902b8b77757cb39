//! A baseline: the findings that a team knows and accepts for now.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Percent, Score, ViolationList, ViolationRow};
use crate::rules::Severity;
use crate::workload::Owner;

/// The `apiVersion` of a baseline.
pub const BASELINE_API_VERSION: &str = "kube-devops/v1";
/// The kind of a baseline.
pub const BASELINE_KIND: &str = "Baseline";

/// The identity of a finding, the same in every cluster and after every edit that leaves the problem in place.
///
/// A pod counts as the workload that manages it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The kind of the workload.
    pub kind: &'a str,
    /// The name of the workload.
    pub name: &'a str,
    /// The container; `None` for the pod as a whole.
    pub container: Option<&'a str>,
    /// The id of the rule.
    pub rule: &'a str,
}

impl<'r> Identity<'r> {
    /// Returns the identity of a violation.
    pub fn of(violation: &ViolationRow<'r>) -> Self {
        let ViolationRow { namespace, kind, name, owner, container, rule, .. } = *violation;
        let owner = owner.and_then(|owner| Owner::parse(owner).ok());
        let Owner { kind, name } = owner.unwrap_or(Owner { kind, name });
        Self { namespace, kind, name, container, rule: rule.as_str() }
    }
}

/// A finding of a baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFinding {
    /// The namespace.
    pub namespace: String,
    /// The kind of the workload.
    pub kind: String,
    /// The name of the workload.
    pub name: String,
    /// The container; `None` for the pod as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The id of the rule.
    pub rule: String,
    /// The number of findings with this identity, in the object that has the most of them.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
}

impl KnownFinding {
    /// Returns the identity.
    pub fn identity(&self) -> Identity<'_> {
        Identity {
            namespace: &self.namespace,
            kind: &self.kind,
            name: &self.name,
            container: self.container.as_deref(),
            rule: &self.rule,
        }
    }
}

impl fmt::Display for KnownFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, kind, name, container, rule, count } = self;
        if !namespace.is_empty() {
            write!(f, "{namespace}/")?;
        }
        write!(f, "{kind}/{name}")?;
        if let Some(container) = container {
            write!(f, ", container {container}")?;
        }
        write!(f, ": {rule}")?;
        if *count > 1 { write!(f, " ({count} times)") } else { Ok(()) }
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

/// The known findings of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    /// The findings, in the order of the file.
    pub findings: Vec<KnownFinding>,
}

/// An invalid baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The text is not valid JSON, or a field has a wrong name or type.
    #[error("{0}; --write-baseline writes a valid one")]
    Syntax(#[from] serde_json::Error),
    /// The file holds another kind of object.
    #[error(
        "expected kind {BASELINE_KIND:?} of {BASELINE_API_VERSION:?}, found {kind:?} of {api_version:?}; \
         --write-baseline writes a baseline"
    )]
    OtherKind {
        /// The `apiVersion` that was found.
        api_version: String,
        /// The kind that was found.
        kind: String,
    },
}

impl Baseline {
    /// Reads a baseline from JSON.
    pub fn from_json(text: &str) -> Result<Self, BaselineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Head {
            #[serde(default)]
            api_version: String,
            #[serde(default)]
            kind: String,
        }
        #[derive(Deserialize)]
        struct Body {
            findings: Vec<KnownFinding>,
        }
        let Head { api_version, kind } = serde_json::from_str(text)?;
        if (api_version.as_str(), kind.as_str()) != (BASELINE_API_VERSION, BASELINE_KIND) {
            return Err(BaselineError::OtherKind { api_version, kind });
        }
        let Body { findings } = serde_json::from_str(text)?;
        Ok(Self { findings })
    }
}

/// Returns the identities of all violations, sorted, each with its count in the object that has the most of them.
///
/// The pods of a workload are not added up, so that a baseline holds for any number of replicas.
pub fn identities(violations: &ViolationList) -> Vec<(Identity<'_>, u32)> {
    let mut all: Vec<_> = violations.iter().map(|row| (Identity::of(&row), row.name)).collect();
    all.sort_unstable();
    all.chunk_by(|a, b| a.0 == b.0)
        .filter_map(|same| {
            let (identity, _) = same.first()?;
            let counts = same.chunk_by(|a, b| a.1 == b.1).map(<[_]>::len);
            Some((*identity, u32::try_from(counts.max()?).unwrap_or(u32::MAX)))
        })
        .collect()
}

/// The difference between a report and a baseline, and the figures that gates compare.
///
/// The list of violations has only the new ones. All other figures and tables of the report count the known ones too.
#[derive(Debug, Clone, Serialize)]
pub struct NewFindings {
    /// The violations that the baseline does not have.
    pub new: usize,
    /// The violations that it has. They are not listed.
    pub known: usize,
    /// The findings of the baseline that their workloads no longer have; empty if a part of the input is unknown.
    pub fixed: Vec<KnownFinding>,
    /// The findings of the baseline whose workloads are not in the input; empty if a part of the input is unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<KnownFinding>,
    /// The score without the known findings.
    #[serde(skip)]
    pub score: Option<Score>,
    /// The compliance without the known findings.
    #[serde(skip)]
    pub compliance: Option<Percent>,
    /// The worst severity of a new violation.
    #[serde(skip)]
    pub worst: Option<Severity>,
}
