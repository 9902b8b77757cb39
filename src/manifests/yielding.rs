//! The `MutatingAdmissionPolicy` by which enforcement yields: where one of our fields would make another's write invalid,
//! the API server takes that field out of the write, with no webhook to reach and no operator running.
//!
//! As JSON, because `v1` of these kinds is newer than the API types that we build against. Written in CEL here and
//! evaluated by the API server; what it does is shown in `tests/cluster/enforcement/yielding.rs`.

use serde_json::{Value, json};

use crate::enforcement::{FIELD_MANAGER, KINDS, PATCHED_FIELDS};

/// The name of the policy and of its binding.
pub const YIELD_NAME: &str = "kube-devops-yield";
/// The plural of `MutatingAdmissionPolicy`.
pub const YIELD_POLICIES: &str = "mutatingadmissionpolicies";
/// The plural of `MutatingAdmissionPolicyBinding`.
pub const YIELD_BINDINGS: &str = "mutatingadmissionpolicybindings";

const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// Only workloads that enforcement applied to.
const IS_PATCHED: &str = "oldObject.metadata.?managedFields.orValue([])\
    .exists(m, m.?manager.orValue('') == '$manager' && m.?operation.orValue('') == 'Apply')";

/// Our own writes are what we mean.
const IS_ANOTHERS: &str = "request.?options.?fieldManager.orValue('') != '$manager'";

/// The variables of the mutation, in the order of their use. `$key` is a container's name among managed fields.
const VARIABLES: &[(&str, &str)] = &[
    ("containers", "object.spec.template.spec.containers"),
    ("names", "variables.containers.map(c, string(c.name))"),
    ("before", "oldObject.spec.template.spec.containers"),
    // The fields that we owned before this write.
    (
        "had",
        "oldObject.metadata.?managedFields.orValue([])\
         .filter(m, m.?manager.orValue('') == '$manager' && m.?operation.orValue('') == 'Apply').map(m, $owned)",
    ),
    // The fields that we set, as `container/field`: not by the annotation, which anybody may change.
    (
        "patched",
        "variables.before.map(c, (['livenessProbe', 'readinessProbe', 'startupProbe']\
         .filter(p, variables.had.exists(o, o[?($key)][?('f:' + p)].hasValue())) \
         + ['requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory']\
         .filter(a, variables.had.exists(o, o[?($key)][?'f:resources'][?('f:' + a.split('.')[0])]\
         [?('f:' + a.split('.')[1])].hasValue())).map(a, 'resources.' + a))\
         .map(f, string(c.name) + '/' + f).join(',')).filter(f, f != '').join(',').split(',')",
    ),
    // The owners after this write. A value that another manager owns too is theirs, and so is the mistake.
    (
        "entry",
        "object.metadata.?managedFields.orValue([])\
         .map(m, m.?manager.orValue('') + '/' + m.?operation.orValue('')).indexOf('$manager/Apply')",
    ),
    ("ours", "variables.entry < 0 ? {} : [object.metadata.managedFields[variables.entry]].map(m, $owned)[0]"),
    (
        "others",
        "object.metadata.?managedFields.orValue([])\
         .filter(m, m.?manager.orValue('') != '$manager' || m.?operation.orValue('') != 'Apply').map(m, $owned)",
    ),
    (
        "appliers",
        "object.metadata.?managedFields.orValue([])\
         .filter(m, m.?manager.orValue('') != '$manager' && m.?operation.orValue('') == 'Apply').map(m, $owned)",
    ),
    // The containers that their owner took away or renamed, and that are only there for what we set on them.
    (
        "gone",
        "variables.containers.filter(c, c.?image.orValue('') == '' && ($key) in variables.ours \
         && variables.before.exists(b, b.name == c.name) && !variables.others.exists(o, ($key) in o))\
         .map(c, string(c.name))",
    ),
    // Our probes beside another's handler.
    (
        "probes",
        "variables.patched.filter(f, f.endsWith('Probe') && variables.containers.exists(c, \
         f.startsWith(c.name + '/') && [f.substring(size(c.name) + 1)].exists(p, c[?p][?'tcpSocket'].hasValue() \
         && ['httpGet', 'exec', 'grpc'].exists(h, h in c[p]) \
         && variables.before.exists(b, b.name == c.name && b[?p][?'tcpSocket'] == c[?p][?'tcpSocket']) \
         && !variables.others.exists(o, o[?($key)][?('f:' + p)][?'f:tcpSocket'].hasValue()))))",
    ),
    // The other fields that we set on such a probe. An apply names all the fields that its manager wants. An update
    // does not show that, so a value that its manager may have kept stays.
    (
        "tunings",
        "(variables.probes.map(f, f + '/initialDelaySeconds') + variables.probes.map(f, f + '/periodSeconds') \
         + variables.probes.map(f, f + '/timeoutSeconds') + variables.probes.map(f, f + '/failureThreshold'))\
         .filter(t, [t.split('/')].exists(s, variables.containers.exists(c, c.name == s[0] \
         && c[?s[1]][?s[2]].hasValue() \
         && variables.appliers.exists(o, ['httpGet', 'exec', 'grpc']\
         .exists(h, o[?($key)][?('f:' + s[1])][?('f:' + h)].hasValue())) \
         && !variables.others.exists(o, o[?($key)][?('f:' + s[1])][?('f:' + s[2])].hasValue()))))",
    ),
    // The amounts of the pod as a whole after this write. The containers' amounts must fit them, or are not needed.
    (
        "whole",
        "['cpu', 'memory'].filter(r, ['requests', 'limits'].exists(s, \
         object.spec.template.spec[?'resources'][?s][?r].hasValue() \
         && object.spec.template.spec[?'resources'][?s][?r] != oldObject.spec.template.spec[?'resources'][?s][?r]))",
    ),
    // Our limits below another's requests, and our requests above another's limits.
    ("limits", AMOUNTS),
    ("requests", AMOUNTS),
    // The fields that we no longer own. A leftover claim on one would cause a conflict when its owner sets it later.
    (
        "claims",
        "variables.probes.filter(f, variables.ours[?($keyOfField)][?('f:' + f.split('/')[1])].hasValue()) \
         + (variables.limits + variables.requests).filter(f, variables.ours[?($keyOfField)]\
         [?'f:resources'][?('f:' + f.split('.')[1])][?('f:' + f.split('.')[2])].hasValue())",
    ),
    (
        "kept",
        "variables.patched.filter(f, !(f in variables.probes) && !(f in variables.limits) \
         && !(f in variables.requests) && !variables.gone.exists(n, f.startsWith(n + '/')))",
    ),
];

/// Our amounts of one side, `$side`, that don't fit another's any more, or those of the pod as a whole.
const AMOUNTS: &str = "variables.patched.filter(f, variables.containers.exists(c, ['cpu', 'memory'].exists(r, \
    f == c.name + '/resources.$side.' + r && (r in variables.whole \
    || c[?'resources'][?'requests'][?r].hasValue() && c[?'resources'][?'limits'][?r].hasValue() \
    && quantity(string(c.resources.requests[r])).isGreaterThan(quantity(string(c.resources.limits[r])))) \
    && variables.before.exists(b, b.name == c.name \
    && b[?'resources'][?'$side'][?r] == c[?'resources'][?'$side'][?r]) \
    && !variables.others.exists(o, o[?($key)][?'f:resources'][?'f:$side'][?('f:' + r)].hasValue()))))";

/// The JSON patch: first what is inside of containers, as long as their indices hold, then whole containers, each index
/// less by those removed before it.
const MUTATION: &str = "(variables.probes.map(f, f + '/tcpSocket') + variables.tunings \
    + (variables.limits + variables.requests).map(f, f.replace('.', '/'))).map(f, JSONPatch{op: 'remove', \
    path: '/spec/template/spec/containers/' + string(variables.names.indexOf(f.split('/')[0])) \
    + f.substring(f.indexOf('/'))}) \
    + variables.gone.map(n, JSONPatch{op: 'remove', path: '/spec/template/spec/containers/' \
    + string(variables.names.indexOf(n) \
    - size(variables.gone.filter(g, variables.names.indexOf(g) < variables.names.indexOf(n))))}) \
    + variables.claims.map(f, JSONPatch{op: 'remove', \
    path: $claims + jsonpatch.escapeKey($keyOfField) + '/f:' + f.split('/')[1].replace('.', '/f:')}) \
    + variables.gone.map(n, JSONPatch{op: 'remove', path: $claims + jsonpatch.escapeKey($keyOfName)}) \
    + (size(variables.kept) == size(variables.patched) \
    || !('$annotation' in object.metadata.?annotations.orValue({})) ? [] : size(variables.kept) == 0 \
    ? [JSONPatch{op: 'remove', path: '/metadata/annotations/' + jsonpatch.escapeKey('$annotation')}] \
    : [JSONPatch{op: 'replace', path: '/metadata/annotations/' + jsonpatch.escapeKey('$annotation'), \
    value: variables.kept.join(',')}])";

/// Returns the `MutatingAdmissionPolicy` that takes our fields out of writes that they would make invalid.
///
/// If it fails, the write goes on unchanged. A webhook that changes the object later brings it back.
pub fn yield_policy() -> Value {
    let variables: Vec<Value> = VARIABLES
        .iter()
        .map(|(name, text)| json!({ "name": name, "expression": cel(&text.replace("$side", name)) }))
        .collect();
    json!({
        "apiVersion": API_VERSION,
        "kind": "MutatingAdmissionPolicy",
        "metadata": { "name": YIELD_NAME },
        "spec": {
            "failurePolicy": "Ignore",
            "reinvocationPolicy": "IfNeeded",
            "matchConstraints": { "resourceRules": [{
                "apiGroups": ["apps"],
                "apiVersions": ["v1"],
                "operations": ["UPDATE"],
                "resources": KINDS.map(|kind| format!("{}s", kind.name().to_lowercase())),
            }] },
            "matchConditions": [
                { "name": "patched", "expression": cel(IS_PATCHED) },
                { "name": "by-another", "expression": cel(IS_ANOTHERS) },
            ],
            "variables": variables,
            "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": cel(MUTATION) } }],
        },
    })
}

/// Returns the binding that puts the policy into effect everywhere.
pub fn yield_binding() -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": { "name": YIELD_NAME },
        "spec": { "policyName": YIELD_NAME },
    })
}

fn cel(text: &str) -> String {
    let key = |name: &str| format!(r#"'k:{{"name":"' + {name} + '"}}'"#);
    let claims = "'/metadata/managedFields/' + string(variables.entry) + '/fieldsV1/f:spec/f:template/f:spec/f:containers/'";
    let owned = "m[?'fieldsV1'][?'f:spec'][?'f:template'][?'f:spec'][?'f:containers'].orValue({})";
    text.replace("$keyOfField", &key("f.split('/')[0]"))
        .replace("$keyOfName", &key("n"))
        .replace("$key", &key("c.name"))
        .replace("$claims", claims)
        .replace("$owned", owned)
        .replace("$manager", FIELD_MANAGER)
        .replace("$annotation", PATCHED_FIELDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expressions of the policy with the names of their variables.
    fn expressions() -> Vec<(String, String)> {
        let policy = yield_policy();
        let variables = policy["spec"]["variables"].as_array().unwrap();
        let named = variables.iter().map(|variable| {
            (
                variable["name"].as_str().unwrap().to_owned(),
                variable["expression"].as_str().unwrap().to_owned(),
            )
        });
        let mutation = policy["spec"]["mutations"][0]["jsonPatch"]["expression"].as_str().unwrap().to_owned();
        named.chain([("mutation".to_owned(), mutation)]).collect()
    }

    #[test]
    fn each_expression_is_whole_and_uses_only_variables_before_it() {
        let mut known: Vec<String> = Vec::new();
        for (name, text) in expressions() {
            assert!(!text.contains('$') && !text.contains("  "), "{name}: {text}");
            for (open, close) in [('(', ')'), ('[', ']'), ('{', '}')] {
                assert_eq!(text.matches(open).count(), text.matches(close).count(), "{name}: {open}");
            }
            for used in text.split("variables.").skip(1) {
                let used = used.split(|c: char| !c.is_alphanumeric()).next().unwrap();
                assert!(known.iter().any(|known| known == used), "{name} uses {used}");
            }
            known.push(name);
        }
    }

    #[test]
    fn nothing_is_refused_and_only_patched_kinds_are_met() {
        let policy = yield_policy();
        assert_eq!(policy["spec"]["failurePolicy"], "Ignore");
        let rule = &policy["spec"]["matchConstraints"]["resourceRules"][0];
        assert_eq!(rule["resources"], json!(["deployments", "statefulsets", "daemonsets"]));
        assert_eq!(rule["operations"], json!(["UPDATE"]));
        assert_eq!(yield_binding()["spec"]["policyName"], policy["metadata"]["name"]);
    }
}
