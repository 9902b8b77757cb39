//! A secret that the manifest itself holds.

use crate::inventory::{Content, is_plaintext_secret};
use crate::rules::{Category, Check, Context, ObjectContext, Rule, RuleId, Severity, Violations};
use crate::workload::Kind;

/// A secret that the manifest itself holds.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("plaintext-secret"),
    summary: "A password or key in the manifest itself",
    docs: "\
## What it does
Reports environment variables with a literal value, and entries of ConfigMaps, whose name says that it is a secret, such
as DB_PASSWORD or apiKey, and values that are a private key or a known kind of token, whatever their name.

## Why is this bad
Whoever can read the manifest, its repository, or the Deployment in the cluster has the secret. It can't be changed
without a new version of the manifest.

## Example
```yaml
env:
- name: DB_PASSWORD
  value: hunter2    # bad: use valueFrom.secretKeyRef
```

## Exceptions
The value is never printed. Names of files, URLs, lifetimes and the like are no secrets (`TOKEN_FILE`, `TOKEN_TTL`),
and neither are values that are empty, a number, true or false, a path, a reference to another variable, a template, a
URL without a password, or a reference to a vault.
",
    category: Category::Security,
    severity: Severity::High,
    peers: &[
        "polaris:sensitiveContainerEnvVar",
        "polaris:sensitiveConfigmapContent",
        "kube-linter:env-var-secret",
    ],
    check: Check::Pod(check),
    also: Some(Check::Object { reads: &[Kind::ConfigMap], check: check_config_map }),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    for place in context.containers() {
        for (index, var) in place.container.env.iter().enumerate().filter(|(_, var)| var.value_from.is_none())
        {
            if is_plaintext_secret(&var.name, &var.value) {
                found.about(&*var.name).in_container(
                    &place,
                    format_args!("env[{index}].value"),
                    format_args!(
                        "the value of {} is a secret in plain text: take it from a Secret",
                        var.name
                    ),
                );
            }
        }
    }
}

fn check_config_map(context: &ObjectContext<'_>, found: &mut Violations) {
    let Content::Keys(keys) = &context.object.content else { return };
    for key in &keys.with_secret {
        found.in_object(
            format_args!("data[{key}]"),
            format_args!("the value of {key} is a secret in plain text: keep it in a Secret"),
        );
    }
}
