//! The permissions to read the objects beside pods and workloads that rules read.

use std::fmt;

use super::{Mode, Permission};
use crate::rules::{RULES, Rule};
use crate::workload::{Kind, Kinds, Resource};

/// The rules for which the operator's account may read other objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RulePermissions {
    /// Those of the default score, which read pods alone
    #[default]
    Score,
    /// Those of `--rules recommended`; they read Secrets, among others
    Recommended,
    /// All rules
    All,
}

impl RulePermissions {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Score, Self::Recommended, Self::All];

    /// Returns the permissions that the operator needs beside those of [`Mode::Reconcile`].
    pub fn permissions(self) -> Vec<Permission> {
        let rules = RULES.iter().filter(|rule| self.has(rule));
        let kinds = rules.fold(Kinds::default(), |kinds, rule| kinds.union(rule.reads()));
        rule_permissions(kinds, Mode::Reconcile)
    }

    fn has(self, rule: &Rule) -> bool {
        match self {
            Self::Score => rule.in_default_score,
            Self::Recommended => rule.in_default_score || rule.is_recommended(),
            Self::All => true,
        }
    }
}

impl fmt::Display for RulePermissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Score => "score",
            Self::Recommended => "recommended",
            Self::All => "all",
        })
    }
}

/// Returns the permissions by which a mode reads these kinds, beside those that it needs anyway. Only `analyze` and the
/// operator read them.
pub(super) fn rule_permissions(kinds: Kinds, mode: Mode) -> Vec<Permission> {
    let follows = match mode {
        Mode::Analyze => false,
        Mode::Reconcile | Mode::Enforce | Mode::Native => true,
        Mode::Watch | Mode::Webhook | Mode::Reports => return Vec::new(),
    };
    let permission = |one: &Resource| {
        // The use of resources can't be watched.
        let follows = follows && one.kind != Kind::PodMetrics;
        Permission::of_rules(one.group, one.plural, one.is_namespaced, follows)
    };
    let known = mode.permissions();
    let resources = kinds.iter().filter(|kind| *kind != Kind::Pod).flat_map(Kind::resources);
    resources.map(permission).filter(|new| !known.iter().any(|one| one.covers(new))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(choice: RulePermissions) -> Vec<String> {
        choice.permissions().iter().map(|one| format!("{}/{}", one.group, one.resource)).collect()
    }

    #[test]
    fn each_choice_adds_to_the_one_before_it() {
        let [score, recommended, all] = RulePermissions::ALL.map(paths);
        assert_eq!(score, Vec::<String>::new());
        for path in ["/secrets", "/nodes", "rbac.authorization.k8s.io/clusterroles"] {
            assert!(recommended.contains(&path.to_owned()), "{path}");
        }
        assert!(recommended.iter().all(|path| all.contains(path)) && all.len() > recommended.len());
        assert!(!all.contains(&"/services".to_owned()), "the operator follows Services anyway");
        assert!(
            !all.contains(&"apps/deployments".to_owned()) && all.contains(&"argoproj.io/rollouts".to_owned())
        );
    }

    #[test]
    fn analyze_lists_and_the_operator_follows() {
        let kinds = Kinds::of(&[Kind::Service, Kind::Ingress, Kind::PodMetrics]);
        let verbs = |mode| {
            let found = rule_permissions(kinds, mode).into_iter();
            found.map(|one| (one.resource, one.verbs)).collect::<Vec<_>>()
        };
        let list: &[&str] = &["list"];
        assert_eq!(verbs(Mode::Analyze), [("services", list), ("ingresses", list), ("pods", list)]);
        assert_eq!(verbs(Mode::Enforce), [("ingresses", &["list", "watch"][..]), ("pods", list)]);
        assert_eq!(verbs(Mode::Webhook), []);
    }
}
