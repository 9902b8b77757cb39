//! Native admission: the two `ValidatingAdmissionPolicies` by which the API server itself evaluates objects.
//!
//! They are the same for every namespace. Each reads a list of rules from an annotation of the Namespace, which the
//! operator keeps (see [`AdmissionVerdict`](crate::policy::AdmissionVerdict)), so they hold while the operator is down.
//! The expressions are the `.cel` files beside this one and beside the rules.

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec,
    Validation, Variable,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};

use super::controller_users::CONTROLLER_USERS;
use crate::enforcement::PATCHED_FIELDS;
use crate::policy::{
    ADMISSION_DENY, ADMISSION_DENY_AND_WARN, ADMISSION_LABEL, ADMISSION_WARN, DENY_ANNOTATION,
    NAMED_SYSTEM_NAMESPACES, VerdictPart, WARN_ANNOTATION,
};
use crate::rules::{RULES, Rule};

/// The name of the policy that denies, and of its binding.
pub const DENY_POLICY: &str = "kube-devops-deny";
/// The name of the policy that warns, and of its binding.
pub const WARN_POLICY: &str = "kube-devops-warn";

/// The kinds that are evaluated, by group: resource and kind.
const KINDS: [(&str, &[(&str, &str)]); 3] = [
    ("", &[("pods", "Pod"), ("replicationcontrollers", "ReplicationController")]),
    (
        "apps",
        &[
            ("deployments", "Deployment"),
            ("statefulsets", "StatefulSet"),
            ("daemonsets", "DaemonSet"),
            ("replicasets", "ReplicaSet"),
        ],
    ),
    ("batch", &[("jobs", "Job"), ("cronjobs", "CronJob")]),
];

/// The most containers of an object that is evaluated, and the most volumes and sysctls of its pod.
const MOST_CONTAINERS: usize = 500;
/// The most ports and capabilities of all containers of an object that is evaluated, and the most annotations and parts
/// of topology spread constraints of its pod.
const MOST_PARTS: usize = 5_000;
/// The most environment variables of an object that is evaluated, if a rule compares them and one container has them all.
const MOST_VARIABLES: usize = 500;
/// The most characters of an image that is evaluated.
const MOST_CHARACTERS: usize = 1_000;
/// The most characters of all images of an object that is evaluated.
const MOST_IMAGES: usize = 150_000;
/// The most ports and capabilities of an object that is evaluated, if one container has them all: those of an update are
/// compared with the former ones.
const MOST_PARTS_OF_CONTAINER: usize = 300;
/// The most work of comparing images with lists: characters of the images, and [`WORK_OF_CONTAINER`] for each
/// container, times items of the lists, and [`WORK_OF_LIST`] for each list. Measured on an update, which evaluates both
/// objects.
const MOST_WORK: usize = 1_000_000;
const WORK_OF_CONTAINER: usize = 60;
const WORK_OF_LIST: usize = 3;
/// The most containers times entries of the rule with the most work.
const MOST_ENTRIES: usize = 1_200;
/// The most findings of a rule that a message shows.
const SHOWN: usize = 10;
/// The most bytes of a denial. The API server shows 5 KiB.
const MOST_OF_DENIAL: usize = 4_900;
/// The most bytes of a warning. The API server keeps 4,096 characters of all warnings of a request.
const MOST_OF_WARNING: usize = 3_000;

/// A policy with the binding that puts it into effect.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundPolicy {
    /// The policy.
    pub policy: ValidatingAdmissionPolicy,
    /// The binding.
    pub binding: ValidatingAdmissionPolicyBinding,
}

/// Returns the two policies of native admission: the one that denies, and the one that warns.
///
/// `own` is the namespace of the installation, and `system` are further system namespaces. Objects in them are not
/// evaluated.
pub fn native_policies(own: &str, system: &[String]) -> [BoundPolicy; 2] {
    let policy = |name, label, annotation, most_bytes: usize, actions: &[&str]| {
        bound(name, actions, spec((label, annotation), most_bytes, own, system))
    };
    [
        policy(DENY_POLICY, ADMISSION_DENY, DENY_ANNOTATION, MOST_OF_DENIAL, &["Deny"]),
        policy(WARN_POLICY, ADMISSION_WARN, WARN_ANNOTATION, MOST_OF_WARNING, &["Warn", "Audit"]),
    ]
}

/// Puts a policy and its binding together.
pub(super) fn bound(name: &str, actions: &[&str], spec: ValidatingAdmissionPolicySpec) -> BoundPolicy {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    BoundPolicy {
        policy: ValidatingAdmissionPolicy {
            metadata: metadata.clone(),
            spec: Some(spec),
            ..ValidatingAdmissionPolicy::default()
        },
        binding: ValidatingAdmissionPolicyBinding {
            metadata,
            spec: Some(ValidatingAdmissionPolicyBindingSpec {
                policy_name: Some(name.to_owned()),
                validation_actions: Some(texts(actions)),
                ..ValidatingAdmissionPolicyBindingSpec::default()
            }),
        },
    }
}

/// Returns the ids of the rules that compare the environment variables of a container.
fn comparing() -> impl Iterator<Item = &'static str> {
    RULES.iter().filter(|rule| rule.compares_variables).map(|rule| rule.id.as_str())
}

/// Returns the variables of a policy that reads its rules from an annotation of the Namespace.
fn variables(annotation: &str) -> Vec<Variable> {
    let limits = [
        ("$containers", MOST_CONTAINERS),
        ("$container", WORK_OF_CONTAINER),
        ("$characters", MOST_CHARACTERS),
        ("$entries", MOST_ENTRIES),
        ("$images", MOST_IMAGES),
        ("$list", WORK_OF_LIST),
        ("$pairs", MOST_VARIABLES * MOST_VARIABLES),
        ("$parts", MOST_PARTS),
        ("$squares", MOST_PARTS_OF_CONTAINER * MOST_PARTS_OF_CONTAINER),
        ("$work", MOST_WORK),
    ];
    let limits = limits.map(|(name, limit)| (name, limit.to_string()));
    let comparing: Vec<_> = comparing().map(|id| format!("'{id}'")).collect();
    let comparing = format!("[{}]", comparing.join(", "));
    let limits = limits.iter().map(|(name, limit)| (*name, limit.as_str()));
    let limits: Vec<_> = limits.chain([("$comparing", comparing.as_str())]).collect();
    let mut variables = vec![
        variable("exempt", cel(include_str!("native/exempt.cel"), &[])),
        variable("until", cel(include_str!("native/until.cel"), &[])),
        variable("says", cel(include_str!("native/says.cel"), &[("$annotation", annotation)])),
        variable("ids", "variables.says.map(e, e[0])".to_owned()),
        variable("path", cel(include_str!("native/path.cel"), &[])),
        variable("objects", cel(include_str!("native/objects.cel"), &[])),
        variable("templates", cel(include_str!("native/templates.cel"), &[])),
        variable("small", cel(include_str!("native/small.cel"), &limits)),
        variable("sides", cel(include_str!("native/sides.cel"), &[])),
        variable("set", cel(include_str!("native/set.cel"), &[("$fields", PATCHED_FIELDS)])),
    ];
    let rules: Vec<_> =
        RULES.iter().filter_map(|rule| Some((rule.id, name_of(rule), findings(rule)?))).collect();
    // Only the rules of the verdict are evaluated: a variable that is not read costs nothing.
    let all = rules.iter().map(|(id, name, _)| format!("('{id}' in variables.ids ? variables.{name} : [])"));
    let found = format!("variables.small.all(s, s) ? {} : []", all.collect::<Vec<_>>().join("\n+ "));
    variables.extend(rules.into_iter().map(|(_, name, expression)| variable(&name, expression)));
    variables.push(variable("found", found));
    variables
}

/// `label` is the value of a Namespace's label that puts the policy into effect there, beside
/// [`ADMISSION_DENY_AND_WARN`].
fn spec(
    (label, annotation): (&str, &str),
    most_bytes: usize,
    own: &str,
    system: &[String],
) -> ValidatingAdmissionPolicySpec {
    let named = NAMED_SYSTEM_NAMESPACES.into_iter().chain([own]).chain(system.iter().map(String::as_str));
    let kinds = KINDS.iter().flat_map(|(_, kinds)| kinds.iter().map(|(_, kind)| *kind));
    let (protected, kinds, controllers) =
        (quoted(named), quoted(kinds), quoted(CONTROLLER_USERS.into_iter()));
    let condition = |name: &str, expression| MatchCondition { name: name.to_owned(), expression };
    ValidatingAdmissionPolicySpec {
        failure_policy: Some("Fail".to_owned()),
        match_constraints: Some(constraints(label, own, system)),
        match_conditions: Some(vec![
            condition(
                "not-system",
                cel(include_str!("native/not_system.cel"), &[("$protected", &protected)]),
            ),
            condition(
                "not-made-by-controller",
                cel(
                    include_str!("native/not_made_by_controller.cel"),
                    &[("$controllers", &controllers), ("$kinds", &kinds)],
                ),
            ),
            condition("not-deleted", "!has(object.metadata.deletionTimestamp)".to_owned()),
        ]),
        variables: Some(variables(annotation)),
        validations: Some(vec![
            Validation {
                expression:
                    "size(variables.says) == 0 || variables.small[0] || variables.small.exists(s, !s) \
                             && size(variables.small) > 1 && !variables.small[1]"
                        .to_owned(),
                message: Some(format!(
                    "more than {MOST_CONTAINERS} containers, volumes or sysctls, more than {MOST_PARTS} ports and \
                     capabilities ({MOST_PARTS_OF_CONTAINER} in one container), annotations or parts of topology spread \
                     constraints, too many environment variables for {} ({MOST_VARIABLES} in one container), an image of \
                     more than {MOST_CHARACTERS} characters, or images that are too long together: kube-devops can't \
                     evaluate the object, so split it",
                    comparing().collect::<Vec<_>>().join(", ")
                )),
                reason: Some("Forbidden".to_owned()),
                ..Validation::default()
            },
            Validation {
                expression: "size(variables.found) == 0".to_owned(),
                message: Some(
                    "the object breaks a DevOpsPolicy of its namespace; kube-devops analyze shows the place"
                        .to_owned(),
                ),
                message_expression: Some(cel(
                    include_str!("native/message.cel"),
                    &[("$bytes", &most_bytes.to_string())],
                )),
                reason: Some("Forbidden".to_owned()),
            },
        ]),
        ..ValidatingAdmissionPolicySpec::default()
    }
}

/// Returns the expression of a rule's findings that an update adds; `None` for a rule without a CEL expression.
fn findings(rule: &Rule) -> Option<String> {
    let expression = cel(rule.expression?, &[]);
    let shown = SHOWN.to_string();
    let part = rule.fix.as_ref().map(|fix| {
        let parts =
            [VerdictPart::ButDropped, VerdictPart::OnlyDropped].map(|part| part.as_str().unwrap_or_default());
        let values = [("$but", parts[0]), ("$only", parts[1]), ("$field", fix.field)];
        format!(" && {}", cel(include_str!("native/part.cel"), &values))
    });
    let part = part.unwrap_or_default();
    let values = [
        ("$part", part.as_str()),
        ("$id", rule.id.as_str()),
        ("$shown", &shown),
        ("$expression", &expression),
    ];
    Some(cel(include_str!("native/findings.cel"), &values))
}

/// Returns the name of a rule's variable.
fn name_of(rule: &Rule) -> String {
    rule.id.as_str().replace('-', "_")
}

fn constraints(label: &str, own: &str, system: &[String]) -> MatchResources {
    let requirement = |key: &str, operator: &str, values| LabelSelectorRequirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values,
    };
    // If the API server can't evaluate a policy at all, only this selector saves a namespace.
    let never =
        NAMED_SYSTEM_NAMESPACES.into_iter().chain(["kube-system", "kube-public", "kube-node-lease", own]);
    let never = never.map(str::to_owned).chain(system.iter().cloned()).collect();
    let rules = KINDS.iter().map(|(group, kinds)| NamedRuleWithOperations {
        api_groups: Some(texts(&[group])),
        api_versions: Some(texts(&["v1"])),
        operations: Some(texts(&["CREATE", "UPDATE"])),
        resources: Some(kinds.iter().map(|(resource, _)| (*resource).to_owned()).collect()),
        ..NamedRuleWithOperations::default()
    });
    MatchResources {
        namespace_selector: Some(LabelSelector {
            match_expressions: Some(vec![
                requirement(ADMISSION_LABEL, "In", Some(texts(&[label, ADMISSION_DENY_AND_WARN]))),
                requirement("kubernetes.io/metadata.name", "NotIn", Some(never)),
            ]),
            ..LabelSelector::default()
        }),
        resource_rules: Some(rules.collect()),
        ..MatchResources::default()
    }
}

fn variable(name: &str, expression: String) -> Variable {
    Variable { name: name.to_owned(), expression }
}

/// Returns an expression without its comments, with values in place of their names.
pub(super) fn cel(text: &str, values: &[(&str, &str)]) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let text = lines.map(str::trim_end).collect::<Vec<_>>().join("\n");
    values.iter().fold(text, |text, (name, value)| text.replace(name, value))
}

/// Returns texts as the items of a list in CEL.
pub(super) fn quoted<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.map(|text| format!("'{text}'")).collect::<Vec<_>>().join(", ")
}

pub(super) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
