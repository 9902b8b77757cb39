//! A container that keeps capabilities that it may not need.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A container that keeps capabilities that it may not need.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("retained-capabilities"),
    summary: "A container that does not drop all capabilities",
    docs: "\
## What it does
Reports containers whose `capabilities.drop` lacks `ALL`, and containers that add a capability other than
NET_BIND_SERVICE.

## Why is this bad
Container runtimes give every container a dozen capabilities, such as CHOWN and NET_RAW. Few servers need one. An
attacker gets them all.

## Example
```yaml
capabilities:
  drop: [ALL]
```

## Exceptions
Pods with `os.name: windows` are skipped. `ALL` is compared exactly: runtimes accept `all`, but the Pod Security level
`restricted` refuses it.
",
    category: Category::Security,
    severity: Severity::Medium,
    peers: &["polaris:insecureCapabilities", "kube-linter:drop-net-raw-capability", "pss:capabilities_restricted"],
    check: Check::Pod(check),
    expression: Some(include_str!("retained_capabilities.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    if context.workload.pod.is_windows() {
        return;
    }
    for place in context.containers() {
        let capabilities = place.security().and_then(|own| own.capabilities.as_ref());
        let dropped = capabilities.map_or(&[][..], |capabilities| &capabilities.drop);
        if !dropped.iter().any(|dropped| &**dropped == "ALL") {
            let written = dropped.iter().any(|dropped| dropped.eq_ignore_ascii_case("ALL"));
            let change = if written { "write ALL in capitals" } else { "add ALL to capabilities.drop" };
            found.about("no drop").in_container(
                &place,
                "securityContext.capabilities.drop",
                format_args!("keeps the capabilities of the runtime: {change}"),
            );
        }
        for (index, added) in capabilities.iter().flat_map(|capabilities| &capabilities.add).enumerate() {
            if &**added != "NET_BIND_SERVICE" {
                found.about(added).in_container(
                    &place,
                    format_args!("securityContext.capabilities.add[{index}]"),
                    format_args!("adds the capability {added}: add NET_BIND_SERVICE at most"),
                );
            }
        }
    }
}
