//! Allows an image that can change under a running workload.

use crate::rules::{Category, Check, ContainerPlace, Context, Rule, RuleId, Severity, Violations};
use crate::workload::ImageReference;

/// An image with the tag `latest`, or with neither tag nor digest.
pub static RULE: Rule = Rule {
    id: RuleId::new("latest-tag"),
    summary: "An image that can change under a running workload: tag latest, or no tag",
    label: Some("Images using :latest"),
    docs: "\
## What it does
Counts containers and init containers whose image has the tag `latest`, or neither a tag nor a digest.

## Why is this bad
The same manifest can run different code tomorrow. Two replicas can run different versions, a restart can become
a release, and a rollback has no version to return to.

## Example
```yaml
image: nginx           # bad: means nginx:latest
image: nginx:1.29.3    # good
```

## Exceptions
A digest pins the image, whatever its tag. The port of a registry is not a tag, and an empty tag (`nginx:`) counts as
none. An image that a platform fills in is not counted: `auto` where Istio injects its proxy, and an empty image that an
image trigger of OpenShift sets.
",
    category: Category::Images,
    severity: Severity::High,
    weight: Some(5),
    in_default_score: true,
    parameters: &[],
    peers: &[
        "polaris:tagNotSpecified",
        "kube-score:container-image-tag",
        "kube-linter:latest-tag",
        "popeye:100",
        "popeye:101",
    ],
    details: false,
    expression: Some(include_str!("latest_tag.cel")),
    check: Check::Pod(check),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    context.declared_containers().for_each(|place| check_container(&place, found));
}

fn check_container(place: &ContainerPlace<'_>, found: &mut Violations) {
    if place.container.image_is_supplied {
        return;
    }
    let Some(reference) = place.container.image.as_deref().filter(|image| !image.is_empty()) else { return };
    let image = ImageReference::parse(reference);
    if !image.is_latest() {
        return;
    }
    let problem = if image.tag.is_some() { "has the tag latest" } else { "has no tag, which means latest" };
    found.about(image.name).in_container(
        place,
        "image",
        format_args!("image {reference} {problem}: name a version or a digest"),
    );
}
