//! System namespaces: those that belong to the cluster, not to its users.

/// Recognizes system namespaces. They are left out of analysis by default, and never mutated or denied.
#[derive(Debug, Clone, Default)]
pub struct SystemNamespaces {
    more: Vec<String>,
}

/// Namespaces of common cluster components that no pattern covers.
pub const NAMED_SYSTEM_NAMESPACES: [&str; 5] =
    ["cert-manager", "istio-system", "monitoring", "observability", "argocd"];

impl SystemNamespaces {
    /// Makes the set of the built-in namespaces and these.
    pub fn with(more: Vec<String>) -> Self {
        Self { more }
    }

    /// Returns a CEL expression that is true in a namespace that is none of these. `namespace` is an expression for its
    /// name.
    pub fn cel_excludes(&self, namespace: &str) -> String {
        let named: Vec<_> =
            NAMED_SYSTEM_NAMESPACES.into_iter().chain(self.more.iter().map(String::as_str)).collect();
        let named = named.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        format!("![{namespace}].exists(n, n.startsWith('kube-') || n.endsWith('-system') || n in [{named}])")
    }

    /// Returns true for a system namespace: `kube-*`, `*-system`, a common component's, or an added one.
    pub fn contains(&self, namespace: &str) -> bool {
        namespace.starts_with("kube-")
            || namespace.ends_with("-system")
            || NAMED_SYSTEM_NAMESPACES.contains(&namespace)
            || self.more.iter().any(|more| more == namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_namespaces_match_by_pattern_name_or_request() {
        let namespaces = SystemNamespaces::with(vec!["platform".to_owned()]);
        for system in ["kube-system", "kube-public", "gatekeeper-system", "monitoring", "argocd", "platform"]
        {
            assert!(namespaces.contains(system), "{system}");
        }
        for user in ["default", "kube", "system", "production", "my-kube-app", "systems"] {
            assert!(!namespaces.contains(user), "{user}");
        }
    }
}
