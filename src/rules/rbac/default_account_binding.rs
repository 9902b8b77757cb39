//! A binding whose subject is everybody, or every pod.

use super::granted::is_default;
use crate::inventory::{Content, Subject};
use crate::rules::{Category, Check, ObjectContext, Rule, RuleId, Severity, Violations};
use crate::workload::Kind;

/// A binding whose subject is everybody, or every pod.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("default-account-binding"),
    summary: "Permissions for everybody, or for every pod of a namespace",
    docs: "\
## What it does
Reports bindings to the account `default`, to all service accounts of the cluster or of a namespace, and to all
authenticated, unauthenticated or anonymous users.

## Why is this bad
Each pod that names no account gets the permissions of `default`. Everybody with any account has those of
`system:authenticated`.

## Example
```yaml
subjects:
- kind: ServiceAccount
  name: default    # bad: give the workload an account of its own
```

## Exceptions
Bindings of Kubernetes itself (`system:*`, or labelled `kubernetes.io/bootstrapping: rbac-defaults`) are skipped.
",
    category: Category::Rbac,
    severity: Severity::High,
    peers: &["popeye:308"],
    check: Check::Object { reads: &[Kind::RoleBinding, Kind::ClusterRoleBinding], check },
    ..Rule::BASE
};

fn check(context: &ObjectContext<'_>, found: &mut Violations) {
    let Content::Binding(binding) = &context.object.content else { return };
    if is_default(context.object) {
        return;
    }
    for (index, subject) in binding.subjects.iter().enumerate() {
        if is_shared(subject) {
            found.in_object(
                format_args!("subjects[{index}]"),
                format_args!(
                    "{} {} is shared by many: bind an account of its own",
                    subject.kind, subject.name
                ),
            );
        }
    }
}

/// Returns true if a subject stands for everybody, or for pods that name no account.
fn is_shared(subject: &Subject) -> bool {
    let name = subject.name.as_str();
    match subject.kind.as_str() {
        "ServiceAccount" => name == "default",
        "Group" => {
            matches!(name, "system:serviceaccounts" | "system:authenticated" | "system:unauthenticated")
                || name.starts_with("system:serviceaccounts:")
        }
        "User" => {
            name == "system:anonymous"
                || name.strip_prefix("system:serviceaccount:").is_some_and(|rest| rest.ends_with(":default"))
        }
        _ => false,
    }
}
