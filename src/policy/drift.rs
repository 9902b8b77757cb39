//! Drift: the policies that are not the same in all clusters.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::PolicyDocument;
use super::difference::{FieldDifference, compare_specs, with_defaults};

/// A policy that is not the same in all clusters.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDrift {
    /// The namespace; empty for a cluster policy.
    pub namespace: String,
    /// The name; that of a cluster policy is `cluster/name`.
    pub name: String,
    /// The clusters with the most common spec.
    pub same: Vec<String>,
    /// The clusters without the policy.
    pub missing: Vec<String>,
    /// The clusters with another spec.
    pub different: Vec<ClusterDifference>,
}

/// The settings of a cluster that differ from the most common ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterDifference {
    /// The cluster.
    pub cluster: String,
    /// The settings; `from` is the most common value.
    pub fields: Vec<FieldDifference>,
}

/// Compares the policies of clusters by namespace and name. The most common spec is the
/// reference; if two are equally common, the spec of the first cluster.
pub fn drift(clusters: &[(String, Vec<PolicyDocument>)]) -> Vec<PolicyDrift> {
    let mut found: BTreeMap<(String, String), Vec<Option<Value>>> = BTreeMap::new();
    for (index, (_, policies)) in clusters.iter().enumerate() {
        for policy in policies {
            let key = (policy.namespace.clone().unwrap_or_default(), policy.local_name());
            let specs = found.entry(key).or_insert_with(|| vec![None; clusters.len()]);
            if let Some(place) = specs.get_mut(index) {
                *place = Some(with_defaults(&policy.spec));
            }
        }
    }
    found
        .into_iter()
        .filter_map(|((namespace, name), specs)| of_policy(namespace, name, &specs, clusters))
        .collect()
}

fn of_policy(
    namespace: String,
    name: String,
    specs: &[Option<Value>],
    clusters: &[(String, Vec<PolicyDocument>)],
) -> Option<PolicyDrift> {
    let times = |spec: &Value| specs.iter().flatten().filter(|other| *other == spec).count();
    // `max_by_key` returns the last of equals, so the order is turned around.
    let common = specs.iter().flatten().rev().max_by_key(|spec| times(spec))?;
    let mut drift =
        PolicyDrift { namespace, name, same: Vec::new(), missing: Vec::new(), different: Vec::new() };
    for ((cluster, _), spec) in clusters.iter().zip(specs) {
        match spec {
            None => drift.missing.push(cluster.clone()),
            Some(spec) if spec == common => drift.same.push(cluster.clone()),
            Some(spec) => drift
                .different
                .push(ClusterDifference { cluster: cluster.clone(), fields: compare_specs(common, spec) }),
        }
    }
    (!drift.missing.is_empty() || !drift.different.is_empty()).then_some(drift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cluster(name: &str, policies: &[(&str, Value)]) -> (String, Vec<PolicyDocument>) {
        let policies = policies.iter().map(|(name, spec)| {
            PolicyDocument::from_object(&json!({
                "metadata": { "name": name, "namespace": "shop" },
                "spec": spec,
            }))
        });
        (name.to_owned(), policies.collect())
    }

    #[test]
    fn the_spec_that_most_clusters_have_is_the_measure() {
        let strict = json!({ "maxRestartCount": 3 });
        let clusters = [
            cluster("a", &[("p", json!({ "maxRestartCount": 9 })), ("same", json!({}))]),
            cluster("b", &[("p", strict.clone()), ("same", json!({ "enforcementMode": "audit" }))]),
            cluster("c", &[("p", strict), ("same", json!({}))]),
            cluster("d", &[("same", json!({}))]),
        ];
        let found = drift(&clusters);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (&found[0].same, &found[0].missing),
            (&vec!["b".to_owned(), "c".to_owned()], &vec!["d".to_owned()])
        );
        let [different] = found[0].different.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            (different.cluster.as_str(), different.fields[0].path.as_str()),
            ("a", "spec.maxRestartCount")
        );
        assert_eq!(different.fields[0].from, Some(json!(3)));
    }

    #[test]
    fn equal_clusters_and_a_single_one_have_no_drift() {
        let one = cluster("a", &[("p", json!({}))]);
        assert_eq!(drift(std::slice::from_ref(&one)), []);
        assert_eq!(drift(&[one.clone(), (String::from("b"), one.1)]), []);
    }
}
