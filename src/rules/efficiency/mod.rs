//! Rules about resources: requests, limits and use.

use super::Rule;

pub(super) mod missing_resources;

pub(super) static RULES: &[&Rule] = &[&missing_resources::RULE];
