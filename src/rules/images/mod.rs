//! Rules about images: the one that runs is the one that was tested.

use super::Rule;

pub(super) mod latest_tag;
mod stale_image_cache;
mod unlisted_registry;

pub(super) static RULES: &[&Rule] = &[&latest_tag::RULE, &stale_image_cache::RULE, &unlisted_registry::RULE];
