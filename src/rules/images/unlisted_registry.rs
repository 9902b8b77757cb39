//! An image from a registry that is not on the list.

use crate::rules::{Category, Check, Context, Parameter, Rule, RuleId, Severity, Value, Violations};
use crate::workload::ImageReference;

/// An image from a registry that is not on the list.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("unlisted-registry"),
    summary: "An image from a registry that the policy does not list",
    docs: "\
## What it does
Reports containers whose image comes from a registry that the parameter `registries` does not list. An entry is a
registry, such as `ghcr.io`, or a registry and the beginning of a path, such as `ghcr.io/acme`. Without the parameter
the rule reports nothing.

## Why is this bad
Whoever controls the registry controls what runs. A typo in a name is enough to run the image of a stranger.

## Example
```yaml
image: evil.example.com/nginx:1.29.3    # bad, with registries [ghcr.io, docker.io]
```

## Exceptions
An image without a registry comes from `docker.io`. A first part without a dot, a colon or a capital is no registry,
unless it is `localhost`.
",
    category: Category::Images,
    severity: Severity::High,
    peers: &["popeye:113"],
    parameters: &[Parameter {
        name: "registries",
        summary: "The registries to take images from, with or without the beginning of a path",
        default: Value::Texts(Vec::new()),
    }],
    check: Check::Pod(check),
    expression: Some(include_str!("unlisted_registry.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let registries = context.parameters.texts("registries");
    if registries.is_empty() {
        return;
    }
    for place in context.containers().filter(|place| !place.container.image_is_supplied) {
        let Some(reference) = place.container.image.as_deref().filter(|image| !image.is_empty()) else {
            continue;
        };
        let image = ImageReference::parse(reference);
        let registry = image.registry.unwrap_or("docker.io");
        if !registries.iter().any(|listed| lists(listed, registry, image.repository)) {
            found.about(image.name).in_container(
                &place,
                "image",
                format_args!(
                    "image {reference} comes from {registry}, which is not listed: use {}",
                    registries.join(" or ")
                ),
            );
        }
    }
}

/// Returns true if an entry of the list covers an image.
fn lists(entry: &str, registry: &str, repository: &str) -> bool {
    match entry.trim_end_matches('/').split_once('/') {
        None => entry.trim_end_matches('/') == registry,
        Some((host, path)) => {
            let rest = repository.strip_prefix(path);
            host == registry && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    }
}
