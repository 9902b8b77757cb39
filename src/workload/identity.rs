//! Identities of workloads and policies, and the only code that parses their texts.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A workload within a namespace, printed as `Kind/name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner<'a> {
    /// The kind. It can be any kind that manages pods, such as one of a custom resource.
    pub kind: &'a str,
    /// The name.
    pub name: &'a str,
}

/// A workload of a cluster, printed and serialized as `namespace/Kind/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct WorkloadRef {
    /// The namespace; empty for an object in a manifest that names none.
    pub namespace: String,
    /// The kind. It can be any kind that manages pods, such as one of a custom resource.
    pub kind: Cow<'static, str>,
    /// The name.
    pub name: String,
}

/// A [`WorkloadRef`] in one allocation: the key of maps that hold every workload of a cluster.
#[derive(Debug, Clone)]
pub struct WorkloadKey {
    /// `namespace/Kind/name`.
    text: Box<str>,
    /// The length of the namespace.
    namespace: u32,
    /// The length of the kind.
    kind: u32,
}

/// A policy, printed and serialized as `namespace/name`.
///
/// A cluster policy has no namespace and is printed as `cluster/name`. Its effect in one namespace is printed as
/// `namespace/cluster/name`. No object of the API has a slash in its name, so nothing else has such an identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PolicyRef {
    /// The namespace; empty for a cluster policy as a whole.
    pub namespace: String,
    /// The name; for a cluster policy, `cluster/` and its name.
    pub name: String,
}

/// The start of the name of a cluster policy.
const CLUSTER: &str = "cluster/";

/// A text that names no workload and no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {form}")]
pub struct IdentityError {
    text: String,
    form: &'static str,
}

impl<'a> Owner<'a> {
    /// Parses `Kind/name`. The kind is not checked.
    pub fn parse(text: &'a str) -> Result<Self, IdentityError> {
        match parts(text) {
            Some([kind, name]) => Ok(Self { kind, name }),
            None => Err(IdentityError { text: text.to_owned(), form: "KIND/NAME" }),
        }
    }

    /// Prints `namespace/Kind/name`, or `Kind/name` for an object without a namespace.
    pub fn full_name(self, namespace: &str) -> String {
        if namespace.is_empty() { self.to_string() } else { format!("{namespace}/{self}") }
    }

    /// Adds the namespace.
    pub fn within(self, namespace: &str) -> WorkloadRef {
        WorkloadRef::new(namespace, self.kind.to_owned(), self.name)
    }
}

impl WorkloadRef {
    /// Names a workload.
    pub fn new(
        namespace: impl Into<String>,
        kind: impl Into<Cow<'static, str>>,
        name: impl Into<String>,
    ) -> Self {
        Self { namespace: namespace.into(), kind: kind.into(), name: name.into() }
    }

    /// Drops the namespace.
    pub fn local(&self) -> Owner<'_> {
        Owner { kind: &self.kind, name: &self.name }
    }

    /// Returns the arguments that name the workload to kubectl: `kind/name -n namespace`.
    pub fn kubectl_arguments(&self) -> String {
        format!("{}/{} -n {}", self.kind.to_lowercase(), self.name, self.namespace)
    }
}

impl WorkloadKey {
    /// Names a workload.
    pub fn new(namespace: &str, workload: Owner<'_>) -> Self {
        let text = format!("{namespace}/{workload}").into();
        let length = |part: &str| u32::try_from(part.len()).unwrap_or_default();
        Self { text, namespace: length(namespace), kind: length(workload.kind) }
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> &str {
        &self.text[..self.namespace as usize]
    }

    /// Returns the workload without its namespace.
    pub fn local(&self) -> Owner<'_> {
        let workload = &self.text[self.namespace as usize + 1..];
        let kind = self.kind as usize;
        Owner { kind: &workload[..kind], name: &workload[kind + 1..] }
    }
}

impl PartialEq for WorkloadKey {
    fn eq(&self, other: &Self) -> bool {
        (self.namespace, self.kind) == (other.namespace, other.kind) && self.text == other.text
    }
}

impl Eq for WorkloadKey {}

impl Hash for WorkloadKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PolicyRef {
    /// Names a policy.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Names a cluster policy as a whole.
    pub fn cluster(name: &str) -> Self {
        Self::new("", format!("{CLUSTER}{name}"))
    }

    /// Returns true if both are the same policy, or one cluster policy in two namespaces.
    pub fn is_part_of(&self, other: &Self) -> bool {
        self.name == other.name && (self.namespace == other.namespace || self.cluster_name().is_some())
    }

    /// Returns the name of a cluster policy as the API has it; `None` for a policy of a namespace.
    pub fn cluster_name(&self) -> Option<&str> {
        cluster_name(&self.name)
    }
}

/// Returns the name of a cluster policy as the API has it; `None` for a policy of a namespace.
pub fn cluster_name(policy: &str) -> Option<&str> {
    policy.strip_prefix(CLUSTER)
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.local())
    }
}

impl fmt::Display for WorkloadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            return f.write_str(&self.name);
        }
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for WorkloadRef {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let form = "NAMESPACE/KIND/NAME";
        let error = || IdentityError { text: text.to_owned(), form };
        let (namespace, workload) = text.split_once('/').ok_or_else(error)?;
        Ok(Owner::parse(workload).map_err(|_| error())?.within(namespace))
    }
}

impl FromStr for PolicyRef {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let form = "NAMESPACE/NAME";
        let error = || IdentityError { text: text.to_owned(), form };
        let (namespace, name) = text.split_once('/').ok_or_else(error)?;
        let plain = cluster_name(name).unwrap_or(name);
        if namespace.is_empty() || plain.is_empty() || plain.contains('/') {
            return Err(error());
        }
        Ok(Self::new(namespace, name))
    }
}

impl From<WorkloadRef> for String {
    fn from(workload: WorkloadRef) -> Self {
        workload.to_string()
    }
}

impl TryFrom<String> for WorkloadRef {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

impl From<PolicyRef> for String {
    fn from(policy: PolicyRef) -> Self {
        policy.to_string()
    }
}

impl TryFrom<String> for PolicyRef {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

/// Splits a text into two parts at its only slash; `None` where one of them is empty.
fn parts(text: &str) -> Option<[&str; 2]> {
    let (first, second) = text.split_once('/')?;
    (!first.is_empty() && !second.is_empty() && !second.contains('/')).then_some([first, second])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_parts_apart() {
        let owner = |kind, name| Owner { kind, name };
        let key = WorkloadKey::new("shop", owner("Deployment", "web"));
        assert_eq!((key.namespace(), key.local()), ("shop", owner("Deployment", "web")));
        assert_eq!(key.to_string(), "shop/Deployment/web");
        assert_ne!(WorkloadKey::new("a/b", owner("c", "d")), WorkloadKey::new("a", owner("b/c", "d")));
        assert_eq!(WorkloadKey::new("", owner("", "")).local(), owner("", ""));
    }

    #[test]
    fn identities_are_parsed_as_they_are_printed() {
        for workload in [
            WorkloadRef::new("shop", "Deployment", "web"),
            WorkloadRef::new("shop", "Rollout", "web"),
            WorkloadRef::new("", "Pod", "p"),
        ] {
            assert_eq!(workload.to_string().parse(), Ok(workload.clone()));
            assert_eq!(Owner::parse(&workload.local().to_string()), Ok(workload.local()));
        }
        let policy = PolicyRef::new("shop", "standard");
        assert_eq!((policy.to_string().as_str(), policy.to_string().parse()), ("shop/standard", Ok(policy)));
    }

    #[test]
    fn a_cluster_policy_is_the_same_in_all_of_its_namespaces() {
        let whole = PolicyRef::cluster("base");
        assert_eq!((whole.to_string().as_str(), whole.cluster_name()), ("cluster/base", Some("base")));
        let [shop, bank] = ["shop", "bank"].map(|namespace| PolicyRef::new(namespace, &*whole.name));
        assert_eq!(shop.to_string().parse(), Ok(shop.clone()));
        let own = |namespace| PolicyRef::new(namespace, "base");
        assert!(shop.is_part_of(&bank) && own("shop").is_part_of(&own("shop")));
        assert!(!own("shop").is_part_of(&own("bank")) && !own("shop").is_part_of(&shop));
        assert!(
            "shop/cluster/".parse::<PolicyRef>().is_err() && "shop/other/base".parse::<PolicyRef>().is_err()
        );
    }

    #[test]
    fn an_incomplete_identity_is_refused() {
        for wrong in ["", "web", "Deployment/", "/web", "shop/Deployment/web"] {
            assert!(Owner::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["web", "shop/web", "shop/Deployment/", "shop//web", "shop/Deployment/web/x"] {
            assert!(wrong.parse::<WorkloadRef>().is_err(), "{wrong}");
        }
        let error = "standard".parse::<PolicyRef>().unwrap_err();
        assert_eq!(error.to_string(), "\"standard\" is not NAMESPACE/NAME");
    }
}
