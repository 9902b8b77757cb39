//! The verdict on a cluster: which modes would work there, and the reason for each that would not. Pure: the answers of
//! the API server are passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::rule_permissions::rule_permissions;
use super::{Mode, Permission, PermissionScope, REPORT_CRD};
use crate::workload::Kinds;

/// The namespaces for the scopes of permissions, and the permissions that depend on rules.
#[derive(Clone, Debug)]
pub struct Places {
    /// The namespace that is evaluated; `None` for all of them.
    pub evaluated: Option<String>,
    /// True if the evaluated namespace is known not to exist.
    pub missing: bool,
    /// The namespace that kube-devops runs in.
    pub own: String,
    /// The kinds that rules read. The operator needs permissions for them.
    pub of_rules: Kinds,
    /// The kinds that `analyze` lists for rules. They include the workloads that rules look at.
    pub listed: Kinds,
}

impl Places {
    /// Returns the places for a mode. A mode that cannot be limited to namespaces covers all of them.
    fn of(&self, mode: Mode) -> Self {
        if mode.takes_namespaces() { self.clone() } else { Self { evaluated: None, ..self.clone() } }
    }

    /// Returns the permissions that a mode needs.
    fn permissions(&self, mode: Mode) -> Vec<Permission> {
        let kinds = if mode == Mode::Analyze { self.listed } else { self.of_rules };
        [mode.permissions(), rule_permissions(kinds, mode)].concat()
    }

    /// Returns the namespace that a permission of this scope has to reach; `None` for all of them.
    fn namespace(&self, scope: PermissionScope) -> Option<&str> {
        match scope {
            PermissionScope::Cluster => None,
            PermissionScope::EvaluatedNamespaces => self.evaluated.as_deref(),
            PermissionScope::OwnNamespace => Some(&self.own),
        }
    }
}

/// A permission for one verb in one place: a question to the API server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Need {
    /// The verb.
    pub verb: &'static str,
    /// The API group, empty for the core group.
    pub group: &'static str,
    /// The resource.
    pub resource: &'static str,
    /// The subresource.
    pub subresource: Option<&'static str>,
    /// The namespace; `None` for all of them, and for resources without a namespace.
    pub namespace: Option<String>,
    /// The name of the object; `None` for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
}

impl Need {
    /// Returns the resource with its group and subresource, such as `deployments.apps` or `pods/log`.
    #[must_use]
    pub fn path(&self) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        let subresource = self.subresource.map(|name| format!("/{name}")).unwrap_or_default();
        format!("{}{dot}{}{subresource}", self.resource, self.group)
    }
}

/// Returns the questions that a permission stands for, one a verb.
fn needs_of(permission: Permission, places: &Places) -> impl Iterator<Item = Need> + use<> {
    let namespace = places.namespace(permission.scope).map(str::to_owned);
    let Permission { group, resource, subresource, verbs, names, .. } = permission;
    verbs.iter().map(move |&verb| {
        // No permission names more than one object.
        let name = names.first().copied().filter(|_| verb != "create");
        Need { verb, group, resource, subresource, namespace: namespace.clone(), name }
    })
}

/// Returns the questions that some modes need an answer to, each once.
#[must_use]
pub fn needs(modes: &[Mode], places: &Places) -> Vec<Need> {
    let needs = modes.iter().flat_map(|&mode| {
        let places = places.of(mode);
        let permissions = places.permissions(mode);
        permissions.into_iter().flat_map(move |permission| needs_of(permission, &places))
    });
    let mut needs: Vec<_> = needs.collect();
    needs.sort();
    needs.dedup();
    needs
}

/// An answer of the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessAnswer {
    /// True if the caller has the permission.
    pub allowed: bool,
    /// The authorizer's reason, where it gives one.
    pub reason: Option<String>,
}

/// The state of an installed CRD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CrdState {
    /// It has everything that ours has.
    Current,
    /// It differs from ours.
    Outdated,
    /// It is not installed.
    Missing,
    /// Its resources are served, but the caller may not read the definition.
    Served,
    /// Its resources are not served, and another project has it.
    Foreign,
}

impl CrdState {
    /// Returns true if a mode that needs the CRD can work with it.
    #[must_use]
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Current | Self::Served)
    }
}

impl fmt::Display for CrdState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Current => "current",
            Self::Outdated => "outdated: run `kube-devops crd install`",
            Self::Missing => "missing: run `kube-devops crd install`",
            Self::Foreign => "missing: install the CRDs of OpenReports",
            Self::Served => "served: only get on customresourcedefinitions would tell whether it is current",
        })
    }
}

/// A permission with its answer, as one mode needs it.
#[derive(Clone, Debug, Serialize)]
pub struct AccessGrant {
    /// The mode.
    pub mode: Mode,
    /// The question.
    #[serde(flatten)]
    pub need: Need,
    /// True if the mode does not work without it.
    pub required: bool,
    /// True if the caller has it.
    pub allowed: bool,
    /// The effect of not having it, and the authorizer's reason; `None` where it is allowed.
    pub reason: Option<String>,
}

/// The answers to everything that some modes need.
#[derive(Clone, Debug)]
pub struct Assessment {
    places: Places,
    grants: Vec<AccessGrant>,
    crds: Vec<(String, CrdState)>,
}

impl Assessment {
    /// Puts answers together. `crds` may be empty where no mode needs any.
    #[must_use]
    pub fn new(
        modes: &[Mode],
        places: Places,
        answers: &BTreeMap<Need, AccessAnswer>,
        crds: Vec<(String, CrdState)>,
    ) -> Self {
        let mut grants = Vec::new();
        for &mode in modes {
            for permission in places.permissions(mode) {
                for need in needs_of(permission, &places.of(mode)) {
                    let AccessAnswer { allowed, reason } = answers.get(&need).cloned().unwrap_or_default();
                    let optional = if permission.required { "" } else { " (optional)" };
                    let denial = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                    let reason = (!allowed).then(|| format!("{}{optional}{denial}", permission.without));
                    grants.push(AccessGrant { mode, need, required: permission.required, allowed, reason });
                }
            }
        }
        Self { places, grants, crds }
    }

    /// Returns the namespace that kube-devops runs in.
    pub fn own_namespace(&self) -> &str {
        &self.places.own
    }

    /// Returns every permission with its answer.
    pub fn grants(&self) -> &[AccessGrant] {
        &self.grants
    }

    /// Returns every CRD with its state.
    pub fn crds(&self) -> &[(String, CrdState)] {
        &self.crds
    }

    /// Returns a reason for each thing that a mode lacks; none where it would work.
    pub fn obstacles(&self, mode: Mode) -> Vec<String> {
        let mut obstacles = Vec::new();
        if let (Some(namespace), true) = (self.evaluated(mode), self.places.missing) {
            obstacles.push(format!("namespace {namespace} was not found"));
        }
        let denied = |grant: &&AccessGrant| grant.mode == mode && grant.required && !grant.allowed;
        let denied: Vec<&Need> = self.grants.iter().filter(denied).map(|grant| &grant.need).collect();
        for same in denied.chunk_by(|a, b| a.path() == b.path() && a.namespace == b.namespace) {
            let verbs: Vec<&str> = same.iter().map(|need| need.verb).collect();
            let place = match &same[0].namespace {
                Some(namespace) => format!("namespace {namespace}"),
                None => "the whole cluster".to_owned(),
            };
            obstacles.push(format!("no permission to {} {} in {place}", verbs.join("/"), same[0].path()));
        }
        if mode.needs_crds() {
            let is_needed = |name: &str| name != REPORT_CRD || mode == Mode::Reports;
            let unusable = self.crds.iter().filter(|(name, state)| is_needed(name) && !state.is_usable());
            let unusable: Vec<_> = unusable.collect();
            for same in unusable.chunk_by(|a, b| a.1 == b.1) {
                let names: Vec<_> = same.iter().map(|(name, _)| name.as_str()).collect();
                let state = same[0].1;
                obstacles.push(match *names {
                    [name] => format!("CRD {name} is {state}"),
                    _ => format!("CRDs {} are {state}", names.join(", ")),
                });
            }
        }
        obstacles
    }

    /// Returns true if a mode would work.
    pub fn works(&self, mode: Mode) -> bool {
        self.obstacles(mode).is_empty()
    }

    /// Describes in a sentence for each mode if it would work, and the obstacles. Advice is given once.
    pub fn verdicts(&self, modes: &[Mode]) -> Vec<String> {
        let mut told = BTreeSet::new();
        let verdict = |mode: &Mode| {
            let obstacles = self.obstacles(*mode).into_iter().map(|obstacle| {
                let short = obstacle.split_once(": ").map(|(short, _)| short.to_owned());
                let is_new = told.insert(obstacle.clone());
                short.filter(|_| !is_new).unwrap_or(obstacle)
            });
            let obstacles: Vec<_> = obstacles.collect();
            self.verdict(*mode, &obstacles.join("; "))
        };
        modes.iter().map(verdict).collect()
    }

    fn verdict(&self, mode: Mode, obstacles: &str) -> String {
        let place = self.evaluated(mode).map_or("here".to_owned(), |name| format!("in namespace {name}"));
        if obstacles.is_empty() {
            format!("{mode} would work {place}")
        } else if mode == Mode::Analyze && self.places.evaluated.is_none() {
            format!(
                "{mode} would be partial at best {place}: {obstacles}; \
                 `kube-devops check -n NAME` checks one namespace"
            )
        } else {
            format!("{mode} would not work {place}: {obstacles}")
        }
    }

    /// Returns the one namespace that a mode would evaluate; `None` for all of them.
    fn evaluated(&self, mode: Mode) -> Option<&str> {
        self.places.evaluated.as_deref().filter(|_| mode.takes_namespaces())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everywhere() -> Places {
        Places {
            evaluated: None,
            missing: false,
            own: "ops".to_owned(),
            of_rules: Kinds::default(),
            listed: Kinds::default(),
        }
    }

    /// The assessment of a caller who may do everything that `forbids` does not match.
    fn assess(places: Places, crd: CrdState, forbids: impl Fn(&Need) -> bool) -> Assessment {
        let answer = |need: Need| {
            let answer = AccessAnswer { allowed: !forbids(&need), reason: None };
            (need, answer)
        };
        let answers = needs(&Mode::ALL, &places).into_iter().map(answer).collect();
        let crds =
            vec![("devopspolicies".to_owned(), CrdState::Current), ("policyauditresults".to_owned(), crd)];
        Assessment::new(&Mode::ALL, places, &answers, crds)
    }

    fn working(assessment: &Assessment) -> Vec<String> {
        let working = Mode::ALL.into_iter().filter(|mode| assessment.works(*mode));
        working.map(|mode| mode.to_string()).collect()
    }

    #[test]
    fn a_mode_works_with_its_required_permissions_and_crds() {
        use CrdState::{Current, Missing, Outdated, Served};
        for crd in [Current, Served] {
            assert_eq!(working(&assess(everywhere(), crd, |_| false)).len(), Mode::ALL.len(), "{crd}");
        }
        for crd in [Missing, Outdated] {
            assert_eq!(working(&assess(everywhere(), crd, |_| false)), ["analyze", "watch"], "{crd}");
        }
        let no =
            |resource: &'static str| assess(everywhere(), Current, move |need| need.resource == resource);
        assert_eq!(working(&no("leases")), ["analyze"]);
        assert_eq!(working(&no("events")).len(), Mode::ALL.len(), "events are optional");
        let no_patch = assess(everywhere(), Current, |need| need.verb == "patch" && need.group == "apps");
        assert_eq!(working(&no_patch), ["analyze", "watch", "reconcile", "native", "reports", "webhook"]);
    }

    fn verdict(assessment: &Assessment, mode: Mode) -> String {
        assessment.verdicts(&[mode]).remove(0)
    }

    #[test]
    fn advice_for_a_missing_crd_is_given_once() {
        let verdicts =
            assess(everywhere(), CrdState::Missing, |_| false).verdicts(&[Mode::Reconcile, Mode::Webhook]);
        assert_eq!(
            verdicts,
            [
                "reconcile would not work here: CRD policyauditresults is missing: run `kube-devops crd install`",
                "webhook would not work here: CRD policyauditresults is missing",
            ]
        );
    }

    #[test]
    fn only_reports_need_the_crd_of_reports() {
        let assess = |state| {
            let answers = needs(&Mode::ALL, &everywhere()).into_iter();
            let answers = answers.map(|need| (need, AccessAnswer { allowed: true, reason: None })).collect();
            Assessment::new(&Mode::ALL, everywhere(), &answers, vec![(REPORT_CRD.to_owned(), state)])
        };
        assert_eq!(working(&assess(CrdState::Served)).len(), Mode::ALL.len());
        let without = assess(CrdState::Foreign);
        assert_eq!(working(&without).len(), Mode::ALL.len() - 1);
        assert_eq!(
            verdict(&without, Mode::Reports),
            "reports would not work here: CRD reports.openreports.io is missing: install the CRDs of OpenReports"
        );
    }

    #[test]
    fn a_caller_limited_to_a_namespace_can_work_there() {
        let limited = |evaluated: Option<&str>| {
            let places = Places {
                evaluated: evaluated.map(str::to_owned),
                missing: false,
                own: "shop".to_owned(),
                of_rules: Kinds::default(),
                listed: Kinds::default(),
            };
            assess(places, CrdState::Current, |need| need.namespace.as_deref() != Some("shop"))
        };
        let (all, shop, bank) = (limited(None), limited(Some("shop")), limited(Some("bank")));
        assert_eq!(working(&all), Vec::<String>::new());
        assert_eq!(working(&shop), ["analyze", "watch", "reconcile", "enforce", "reports"]);
        assert_eq!(working(&bank), Vec::<String>::new());
        assert_eq!(
            verdict(&all, Mode::Analyze),
            "analyze would be partial at best here: no permission to list pods in the whole cluster; \
             `kube-devops check -n NAME` checks one namespace"
        );
        assert_eq!(verdict(&shop, Mode::Analyze), "analyze would work in namespace shop");
        assert_eq!(
            verdict(&bank, Mode::Analyze),
            "analyze would not work in namespace bank: no permission to list pods in namespace bank"
        );
        assert_eq!(verdict(&shop, Mode::Enforce), "enforce would work in namespace shop");
        assert!(verdict(&shop, Mode::Native).starts_with("native would not work here: no permission to "));
    }

    #[test]
    fn a_missing_namespace_is_the_reason() {
        let places = Places {
            evaluated: Some("nope".to_owned()),
            missing: true,
            own: "ops".to_owned(),
            of_rules: Kinds::default(),
            listed: Kinds::default(),
        };
        let assessment = assess(places, CrdState::Current, |_| false);
        let all = ["native", "webhook"];
        assert_eq!(working(&assessment), all, "these evaluate all namespaces");
        assert_eq!(
            verdict(&assessment, Mode::Analyze),
            "analyze would not work in namespace nope: namespace nope was not found"
        );
        assert_eq!(verdict(&assessment, Mode::Webhook), "webhook would work here");
    }

    #[test]
    fn every_no_has_its_reason() {
        let assessment = assess(everywhere(), CrdState::Missing, |_| true);
        for grant in assessment.grants() {
            assert!(!grant.reason.as_deref().unwrap_or_default().is_empty(), "{grant:?}");
        }
        for mode in Mode::ALL {
            assert!(verdict(&assessment, mode).contains(": no permission to "), "{mode}");
        }
        let reconcile = verdict(&assessment, Mode::Reconcile);
        assert!(reconcile.contains("CRD policyauditresults is missing: run `kube-devops crd install`"));
    }
}
