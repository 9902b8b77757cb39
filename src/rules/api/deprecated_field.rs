//! A field of a pod that Kubernetes has replaced.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::{Labels, SecurityContext, Text};

/// A field of a pod that Kubernetes has replaced.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("deprecated-field"),
    summary: "A field of a pod that Kubernetes has replaced or removed",
    docs: "\
## What it does
Reports `serviceAccount` where `serviceAccountName` is absent or different, annotations for AppArmor and seccomp
profiles where the fields are absent, and volumes of kinds that Kubernetes has removed.

## Why is this bad
Kubernetes ignores removed fields: a profile is not applied, and a volume is not mounted. A deprecated field may be
removed next.

## Example
```yaml
serviceAccount: web    # bad: serviceAccountName
```

## Exceptions
Live objects have both names of the account, with the same value.
",
    category: Category::Api,
    severity: Severity::Low,
    manual_fix: Some("serviceAccountName in place of serviceAccount"),
    peers: &["kube-linter:deprecated-service-account-field"],
    check: Check::Pod(check),
    expression: Some(include_str!("deprecated_field.cel")),
    ..Rule::BASE
};

/// The kinds of volumes that Kubernetes has removed or turned off:
/// <https://kubernetes.io/docs/concepts/storage/volumes/>.
const REMOVED: [&str; 9] = [
    "cephfs",
    "flocker",
    "gitRepo",
    "glusterfs",
    "photonPersistentDisk",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
];
/// The prefixes of annotations for profiles, each with the field that replaced them.
const PROFILES: [(&str, &str); 3] = [
    ("container.apparmor.security.beta.kubernetes.io/", "appArmorProfile"),
    ("container.seccomp.security.alpha.kubernetes.io/", "seccompProfile"),
    ("seccomp.security.alpha.kubernetes.io/", "seccompProfile"),
];

fn check(context: &Context<'_>, found: &mut Violations) {
    let pod = &context.workload.pod;
    let path = context.pod_path();
    let name = |account: &Option<Text<'_>>| account.as_deref().unwrap_or_default().to_owned();
    let (former, account) = (name(&pod.service_account), name(&pod.service_account_name));
    if !former.is_empty() && former != account {
        found.about("serviceAccount").in_object(
            format_args!("{path}.serviceAccount"),
            format_args!("serviceAccount is deprecated: use serviceAccountName"),
        );
    }
    for (index, volume) in pod.volumes.iter().enumerate() {
        if let Some(kind) = REMOVED.iter().find(|kind| volume.has(kind)) {
            found.about(format_args!("{} {kind}", volume.name)).in_object(
                format_args!("{path}.volumes[{index}].{kind}"),
                format_args!("Kubernetes has removed the volumes of kind {kind}: use a CSI driver"),
            );
        }
    }
    for (key, _) in context.workload.pod_annotations().into_iter().flat_map(Labels::iter) {
        let Some((prefix, field)) = PROFILES.iter().find(|(prefix, _)| key.starts_with(prefix)) else {
            continue;
        };
        if !has_profile(context, field) {
            found.about(prefix).in_object(
                format_args!("{}.annotations['{key}']", context.workload.pod_metadata_path()),
                format_args!("the annotation is deprecated: use the field {field} of a security context"),
            );
        }
    }
}

/// Returns true if the pod or one of its containers has a profile in a field.
fn has_profile(context: &Context<'_>, field: &str) -> bool {
    let has = |own: &SecurityContext<'_>| match field {
        "appArmorProfile" => own.app_armor_profile.is_some(),
        _ => own.seccomp_profile.is_some(),
    };
    context.pod_security().is_some_and(has)
        || context.containers().any(|place| place.security().is_some_and(has))
}
