//! An image that changes, and that nodes do not pull again.

use crate::rules::{Category, Check, Context, Parameter, Rule, RuleId, Severity, Value, Violations};
use crate::workload::ImageReference;

/// An image that changes, and that nodes do not pull again.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("stale-image-cache"),
    summary: "An image with a tag that moves, which nodes do not pull again",
    docs: "\
## What it does
Reports containers whose image has the tag `latest` or none, and whose `imagePullPolicy` is IfNotPresent or Never.
With the parameter `always`, it reports every image without a digest whose policy is not Always.

## Why is this bad
Each node keeps the image that it pulled first, so two pods of one workload can run different code. A pod can also
start from a private image on its node without a right to it.

## Example
```yaml
image: nginx
imagePullPolicy: IfNotPresent    # bad: leave it out
```

## Exceptions
Without a policy such an image is always pulled. A digest names one content, so it is never reported.
",
    category: Category::Images,
    severity: Severity::Low,
    manual_fix: Some("no imagePullPolicy, where it is IfNotPresent"),
    peers: &["polaris:pullPolicyNotAlways", "kube-score:container-image-pull-policy"],
    parameters: &[Parameter {
        name: "always",
        summary: "Whether every image without a digest has to be pulled always",
        default: Value::Boolean(false),
    }],
    check: Check::Pod(check),
    expression: Some(include_str!("stale_image_cache.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let always = context.parameters.boolean("always");
    for place in context.containers().filter(|place| !place.container.image_is_supplied) {
        let Some(reference) = place.container.image.as_deref() else { continue };
        let image = ImageReference::parse(reference);
        let policy = match place.container.image_pull_policy.as_deref() {
            Some(written) if !written.is_empty() => written,
            _ if image.is_latest() => "Always",
            _ => "IfNotPresent",
        };
        if image.digest.is_none() && policy != "Always" && (always || image.is_latest()) {
            found.about(image.name).in_container(
                &place,
                "imagePullPolicy",
                format_args!(
                    "image {reference} can change, and nodes keep the old one ({policy}): use Always"
                ),
            );
        }
    }
}
