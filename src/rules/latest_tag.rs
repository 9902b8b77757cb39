//! Allows an image that can change under a running workload.

use super::{Category, Context, Finding, Rule, RuleId, Severity, Violations};
use crate::workload::{Container, ImageReference};

/// An image with the tag `latest`, or with neither tag nor digest.
pub static LATEST_TAG: Rule = Rule {
    id: RuleId::new("latest-tag"),
    summary: "An image that can change under a running workload: tag latest, or no tag",
    label: "Images using :latest",
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
    category: Category::Reliability,
    severity: Severity::High,
    weight: 5,
    in_default_score: true,
    since: "0.1.0",
    parameters: &[],
    applies_to: |_| true,
    check,
    expression: Some(include_str!("latest_tag.cel")),
    fix: None,
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let pod = &context.workload.pod;
    for (list, containers) in [("initContainers", &pod.init_containers), ("containers", &pod.containers)] {
        for (index, container) in containers.iter().enumerate() {
            check_container(context, list, index, container, found);
        }
    }
}

fn check_container(
    context: &Context<'_>,
    list: &str,
    index: usize,
    container: &Container<'_>,
    found: &mut Violations,
) {
    if container.image_is_supplied {
        return;
    }
    let Some(reference) = container.image.as_deref().filter(|image| !image.is_empty()) else { return };
    let image = ImageReference::parse(reference);
    if !image.is_latest() {
        return;
    }
    let problem = if image.tag.is_some() { "has the tag latest" } else { "has no tag, which means latest" };
    found.add(&Finding {
        container: Some(&container.name),
        count: 1,
        path: format_args!("{}.{list}[{index}].image", context.workload.pod_path()),
        message: format_args!("image {reference} {problem}: name a version or a digest"),
    });
}
