//! The differences between two sets of policies, setting by setting. Only specs count, with their defaults.

use serde::Serialize;
use serde_json::{Value, json};

use super::bundle::merge;
use super::schema_check::without_nulls;
use super::{AdmissionSpec, DevOpsPolicySpec, PolicyDocument, RemediationSpec};

/// One side of a comparison.
#[derive(Debug, Clone)]
pub struct PolicySide {
    /// The name of the side, for headers.
    pub name: String,
    /// Its policies.
    pub policies: Vec<PolicyDocument>,
    /// True if its only policy is compared with each policy of the other side, as for a bundle.
    pub is_template: bool,
    /// True for a bundle. Its only policy is named by the side.
    pub is_bundle: bool,
}

impl PolicySide {
    /// Returns the name of a policy of this side, for a header.
    fn header(&self, policy: &PolicyDocument) -> String {
        if self.is_bundle { self.name.clone() } else { format!("{} {}", self.name, policy.shown_name()) }
    }
}

/// The difference of one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDifference {
    /// The namespace, if the policy names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name; that of a cluster policy is `cluster/name`.
    pub name: String,
    /// The kind of the difference.
    pub change: PolicyChangeKind,
    /// The settings that differ.
    pub fields: Vec<FieldDifference>,
    /// The specs of both sides with their defaults; `None` on a side that does not have the policy.
    #[serde(skip)]
    pub specs: [Option<Value>; 2],
    /// The names of both sides for a header, each with its policy; `None` on a side that does not have the policy.
    #[serde(skip)]
    pub headers: [Option<String>; 2],
}

/// The kind of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyChangeKind {
    /// Only the second side has the policy.
    Added,
    /// Only the first side has the policy.
    Removed,
    /// Settings differ.
    Changed,
}

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldDifference {
    /// The path, such as `spec.rules[latest-tag].severity`.
    pub path: String,
    /// The value on the first side; `None` if it is absent.
    pub from: Option<Value>,
    /// The value on the second side; `None` if it is absent.
    pub to: Option<Value>,
}

/// Returns the policies that differ, sorted by namespace and name.
pub fn differences(from: &PolicySide, to: &PolicySide) -> Vec<PolicyDifference> {
    let compared = pairs(from, to).into_iter().filter_map(|(one, other)| {
        let headers = [one.map(|policy| from.header(policy)), other.map(|policy| to.header(policy))];
        Some(PolicyDifference { headers, ..compare(one, other)? })
    });
    let mut found: Vec<_> = compared.collect();
    found.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    found
}

type Pair<'a> = (Option<&'a PolicyDocument>, Option<&'a PolicyDocument>);

fn pairs<'a>(from: &'a PolicySide, to: &'a PolicySide) -> Vec<Pair<'a>> {
    match (from.is_template, from.policies.as_slice(), to.is_template, to.policies.as_slice()) {
        (true, [template], _, others) if !others.is_empty() => {
            return others.iter().map(|other| (Some(template), Some(other))).collect();
        }
        (_, others, true, [template]) if !others.is_empty() => {
            return others.iter().map(|other| (Some(other), Some(template))).collect();
        }
        _ => {}
    }
    let same = |one: &PolicyDocument, other: &PolicyDocument| one.key() == other.key();
    let both = from.policies.iter().map(|one| (Some(one), to.policies.iter().find(|other| same(one, other))));
    let added = to.policies.iter().filter(|other| !from.policies.iter().any(|one| same(one, other)));
    both.chain(added.map(|other| (None, Some(other)))).collect()
}

fn compare(from: Option<&PolicyDocument>, to: Option<&PolicyDocument>) -> Option<PolicyDifference> {
    // The policy with a namespace names the pair; the other one may be a template.
    let has_scope = |policy: &&PolicyDocument| policy.namespace.is_some() || policy.is_cluster;
    let named = [to, from].into_iter().flatten().find(has_scope).or(to).or(from)?;
    let mut specs = [from, to].map(|policy| policy.map(|policy| with_defaults(&policy.spec)));
    if from.zip(to).is_some_and(|(from, to)| from.is_cluster != to.is_cluster) {
        // Only one of them selects namespaces.
        for fields in specs.iter_mut().flatten().filter_map(Value::as_object_mut) {
            fields.remove("namespaceSelector");
        }
    }
    let (change, fields) = match &specs {
        [Some(one), Some(other)] => {
            let fields = compare_specs(one, other);
            if fields.is_empty() {
                return None;
            }
            (PolicyChangeKind::Changed, fields)
        }
        [None, _] => (PolicyChangeKind::Added, Vec::new()),
        [_, None] => (PolicyChangeKind::Removed, Vec::new()),
    };
    Some(PolicyDifference {
        namespace: named.namespace.clone(),
        name: named.local_name(),
        change,
        fields,
        specs,
        headers: [None, None],
    })
}

/// Adds the defaults that the API server would add, so that only settings with another effect differ.
pub(super) fn with_defaults(spec: &Value) -> Value {
    let Ok(mut parsed) = serde_json::from_value::<DevOpsPolicySpec>(spec.clone()) else {
        return spec.clone();
    };
    parsed.remediation.get_or_insert_with(RemediationSpec::default);
    parsed.admission.get_or_insert_with(AdmissionSpec::default);
    let mut full = without_nulls(json!(parsed));
    // A field that this version does not know stays.
    merge(&mut full, spec);
    full
}

/// Returns the settings that differ between two specs with their defaults.
pub(super) fn compare_specs(from: &Value, to: &Value) -> Vec<FieldDifference> {
    let mut fields = Vec::new();
    compare_values("spec", from, to, &mut fields);
    fields
}

fn compare_values(path: &str, from: &Value, to: &Value, found: &mut Vec<FieldDifference>) {
    if from == to {
        return;
    }
    match (from, to) {
        (Value::Object(one), Value::Object(other)) => {
            let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
            for name in names {
                compare_fields(&format!("{path}.{name}"), one.get(name), other.get(name), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if has_ids(one) && has_ids(other) => {
            let by_id = |list: &[Value], id: &Value| list.iter().find(|item| &item["id"] == id).cloned();
            for item in one {
                let id = item["id"].as_str().unwrap_or_default();
                compare_fields(
                    &format!("{path}[{id}]"),
                    Some(item),
                    by_id(other, &item["id"]).as_ref(),
                    found,
                );
            }
            for item in other.iter().filter(|item| by_id(one, &item["id"]).is_none()) {
                let id = item["id"].as_str().unwrap_or_default();
                compare_fields(&format!("{path}[{id}]"), None, Some(item), found);
            }
        }
        _ => found.push(FieldDifference {
            path: path.to_owned(),
            from: Some(from.clone()),
            to: Some(to.clone()),
        }),
    }
}

fn compare_fields(path: &str, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<FieldDifference>) {
    match (from, to) {
        (Some(from), Some(to)) => compare_values(path, from, to, found),
        _ => found.push(FieldDifference { path: path.to_owned(), from: from.cloned(), to: to.cloned() }),
    }
}

fn has_ids(list: &[Value]) -> bool {
    list.iter().all(|item| item["id"].is_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(policies: &[(Option<&str>, &str, Value)], is_template: bool) -> PolicySide {
        let policies = policies.iter().map(|(namespace, name, spec)| {
            PolicyDocument::from_object(&json!({
                "metadata": { "name": name, "namespace": namespace },
                "spec": spec,
            }))
        });
        PolicySide { name: "side".to_owned(), policies: policies.collect(), is_template, is_bundle: false }
    }

    fn paths(from: &PolicySide, to: &PolicySide) -> Vec<String> {
        let field = |policy: &str, field: &FieldDifference| {
            let value = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), ToString::to_string);
            format!("{policy} {}: {} {}", field.path, value(&field.from), value(&field.to))
        };
        let found = differences(from, to).into_iter().flat_map(|policy| match policy.change {
            PolicyChangeKind::Changed => policy.fields.iter().map(|one| field(&policy.name, one)).collect(),
            change => vec![format!("{} {change:?}", policy.name)],
        });
        found.collect()
    }

    #[test]
    fn policies_are_compared_by_namespace_and_name() {
        let from = side(
            &[(Some("a"), "p", json!({})), (Some("a"), "gone", json!({})), (Some("b"), "p", json!({}))],
            false,
        );
        let to = side(
            &[
                (Some("a"), "p", json!({ "maxRestartCount": 1 })),
                (Some("b"), "p", json!({})),
                (None, "new", json!({})),
            ],
            false,
        );
        assert_eq!(paths(&from, &to), ["new Added", "gone Removed", "p spec.maxRestartCount: - 1"]);
    }

    #[test]
    fn a_setting_at_its_default_is_no_difference() {
        let from = side(&[(None, "p", json!({}))], false);
        let to = side(
            &[(
                None,
                "p",
                json!({
                    "enforcementMode": "audit", "admission": { "mutate": false }, "remediation": { "maxPerHour": 10 },
                }),
            )],
            false,
        );
        assert_eq!(paths(&from, &to), [""; 0]);
    }

    #[test]
    fn rules_are_compared_by_id_whatever_their_order() {
        let rules = |rules: Value| side(&[(None, "p", json!({ "rules": rules }))], false);
        let from = rules(json!([{ "id": "pending" }, { "id": "latest-tag", "severity": "low" }]));
        let to = rules(json!([{ "id": "latest-tag", "severity": "high" }, { "id": "host-port" }]));
        assert_eq!(
            paths(&from, &to),
            [
                "p spec.rules[pending]: {\"id\":\"pending\"} -",
                "p spec.rules[latest-tag].severity: \"low\" \"high\"",
                "p spec.rules[host-port]: - {\"id\":\"host-port\"}",
            ]
        );
    }

    #[test]
    fn a_cluster_policy_is_compared_with_its_selector_unless_the_other_side_has_none() {
        let cluster = |team: &str, restarts: u32| {
            let spec = json!({ "namespaceSelector": { "matchLabels": { "team": team } }, "maxRestartCount": restarts });
            let metadata = json!({ "name": "p" });
            let object = json!({ "kind": "ClusterDevOpsPolicy", "metadata": metadata, "spec": spec });
            let policies = vec![PolicyDocument::from_object(&object)];
            PolicySide { name: "side".to_owned(), policies, is_template: false, is_bundle: false }
        };
        let label = "cluster/p spec.namespaceSelector.matchLabels.team: \"a\" \"b\"";
        assert_eq!(paths(&cluster("a", 3), &cluster("b", 3)), [label]);
        let own = side(&[(None, "p", json!({ "maxRestartCount": 3 }))], false);
        assert_eq!(paths(&cluster("a", 3), &own), ["cluster/p Removed", "p Added"]);
        let bundle = side(&[(None, "p", json!({ "maxRestartCount": 3 }))], true);
        assert_eq!(paths(&bundle, &cluster("a", 4)), ["cluster/p spec.maxRestartCount: 3 4"]);
    }

    #[test]
    fn a_bundle_is_compared_with_each_policy() {
        let bundle = side(&[(None, "strict", json!({ "forbidLatestTag": true }))], true);
        let cluster =
            side(&[(Some("a"), "x", json!({ "forbidLatestTag": true })), (Some("b"), "y", json!({}))], false);
        assert_eq!(paths(&bundle, &cluster), ["y spec.forbidLatestTag: true -"]);
        assert_eq!(paths(&cluster, &bundle), ["y spec.forbidLatestTag: - true"]);
    }
}
